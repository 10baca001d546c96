"""Responses of OpenAI's, whole and as the events of a stream, as the reference shows them."""

from collections.abc import Iterator

from tests.upstreams.said import Said, Tool

__all__ = ["response_events", "response_object"]


def _items(said: Said) -> list[dict[str, object]]:
    """The output items."""
    items: list[dict[str, object]] = []
    if said.thoughts:
        summary = [{"type": "summary_text", "text": each} for each in said.thoughts]
        items.append({"id": "rs_68af", "type": "reasoning", "summary": summary})
    items += [_call(tool, "completed") for tool in said.tools]
    if not said.tools:
        items.append(_message(said, "completed"))
    return items


def _call(tool: Tool, status: str, arguments: str | None = None) -> dict[str, object]:
    return {
        "id": f"fc_{tool.id}",
        "type": "function_call",
        "status": status,
        "arguments": "".join(tool.fragments) if arguments is None else arguments,
        "call_id": tool.id,
        "name": tool.name,
    }


def _part(said: Said) -> dict[str, object]:
    if said.refusal:
        return {"type": "refusal", "refusal": "".join(said.refusal)}
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": said.text()}


def _message(said: Said, status: str) -> dict[str, object]:
    content = [_part(said)] if status == "completed" else []
    return {
        "id": "msg_67ccf1",
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": content,
    }


def response_object(said: Said, model: str, status: str | None = None) -> dict[str, object]:
    """A `response`; without a status the finished one."""
    reasons = {"length": "max_output_tokens", "content_filter": "content_filter"}
    reason = reasons.get(said.finish_reason)
    is_final = status is None
    return {
        "id": "resp_67ccd2bed1ec8190b14f964abc0542670bb6a6b452d3795b",
        "object": "response",
        "created_at": 1741476542,
        "status": status or ("incomplete" if reason else "completed"),
        "error": None,
        "incomplete_details": {"reason": reason} if reason and is_final else None,
        "instructions": None,
        "max_output_tokens": None,
        "model": model,
        "output": _items(said) if is_final else [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": {
            "input_tokens": 36,
            "input_tokens_details": {"cached_tokens": 12, "cache_write_tokens": 4},
            "output_tokens": 87,
            "output_tokens_details": {"reasoning_tokens": 64},
            "total_tokens": 123,
        }
        if is_final
        else None,
        "user": None,
        "metadata": {},
    }


def response_events(said: Said, model: str) -> Iterator[dict[str, object]]:
    """The events, numbered."""
    for number, event in enumerate(_events(said, model)):
        yield {**event, "sequence_number": number}


def _events(said: Said, model: str) -> Iterator[dict[str, object]]:
    yield {"type": "response.created", "response": response_object(said, model, "in_progress")}
    yield {"type": "response.in_progress", "response": response_object(said, model, "in_progress")}
    at = 0
    if said.thoughts:
        yield from _thought_events(said, at)
        at += 1
    for tool in said.tools:
        yield from _call_events(tool, at)
        at += 1
    if not said.tools:
        yield from _message_events(said, at)
    final = response_object(said, model)
    yield {"type": f"response.{final['status']}", "response": final}


def _thought_events(said: Said, at: int) -> Iterator[dict[str, object]]:
    item = {"id": "rs_68af", "type": "reasoning", "summary": []}
    yield {"type": "response.output_item.added", "output_index": at, "item": item}
    for i, text in enumerate(said.thoughts):
        where = {"item_id": "rs_68af", "output_index": at, "summary_index": i}
        part = {"type": "summary_text", "text": text}
        empty = {**part, "text": ""}
        yield {"type": "response.reasoning_summary_part.added", **where, "part": empty}
        yield {"type": "response.reasoning_summary_text.delta", **where, "delta": text}
        yield {"type": "response.reasoning_summary_text.done", **where, "text": text}
        yield {"type": "response.reasoning_summary_part.done", **where, "part": part}
    yield {"type": "response.output_item.done", "output_index": at, "item": _items(said)[0]}


def _call_events(tool: Tool, at: int) -> Iterator[dict[str, object]]:
    begun = _call(tool, "in_progress", "")
    yield {"type": "response.output_item.added", "output_index": at, "item": begun}
    where = {"item_id": f"fc_{tool.id}", "output_index": at}
    for fragment in tool.fragments:
        yield {"type": "response.function_call_arguments.delta", **where, "delta": fragment}
    whole = "".join(tool.fragments)
    yield {"type": "response.function_call_arguments.done", **where, "arguments": whole}
    done = _call(tool, "completed")
    yield {"type": "response.output_item.done", "output_index": at, "item": done}


def _message_events(said: Said, at: int) -> Iterator[dict[str, object]]:
    begun = _message(said, "in_progress")
    yield {"type": "response.output_item.added", "output_index": at, "item": begun}
    where = {"item_id": "msg_67ccf1", "output_index": at, "content_index": 0}
    kind = "refusal" if said.refusal else "output_text"
    empty = {**_part(said), "refusal" if said.refusal else "text": ""}
    yield {"type": "response.content_part.added", **where, "part": empty}
    for piece in said.refusal or said.pieces:
        logprobs: dict[str, object] = {} if said.refusal else {"logprobs": []}
        yield {"type": f"response.{kind}.delta", **where, "delta": piece, **logprobs}
    whole = "".join(said.refusal or said.pieces)
    field = "refusal" if said.refusal else "text"
    yield {"type": f"response.{kind}.done", **where, field: whole, "logprobs": []}
    yield {"type": "response.content_part.done", **where, "part": _part(said)}
    done = _message(said, "completed")
    yield {"type": "response.output_item.done", "output_index": at, "item": done}
