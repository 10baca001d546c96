"""`GET /v1/responses/{id}`: a stored response once more, from its trace."""

import asyncio
from collections.abc import Sequence

import msgspec

from headrace.errors import NotFound
from headrace.gateway.call import Call
from headrace.gateway.errors import MethodNotAllowed
from headrace.gateway.responses.continuation import ResponseName
from headrace.gateway.responses.render import Json, output_of, status_of, usage_of
from headrace.telemetry.trace import Trace
from headrace.types import Choice, FinishReason, Usage

__all__ = ["show_response"]

_PATH = "/v1/responses/"
_decode = msgspec.json.Decoder(list[Choice]).decode


async def show_response(call: Call) -> None:
    """What was answered: output, model, usage. What was asked for is not kept with it.

    Raises:
        NotFound: there is no such response, it was not stored, or it is another key's.
        MethodNotAllowed: it was to be deleted.
    """
    if call.method == "DELETE":
        raise MethodNotAllowed(
            "single responses cannot be deleted",
            hint="delete the whole conversation on the chat page, or send 'store': false",
        )
    response_id = call.path.removeprefix(_PATH)
    name = ResponseName.parse(response_id)
    if name is None:
        raise _unknown(response_id)
    await call.platform.flush()
    try:
        trace = await asyncio.to_thread(call.platform.traces.get, name.turn)
    except NotFound:
        raise _unknown(response_id) from None
    if trace.key_id != call.principal.key_id or trace.conversation != name.conversation:
        raise _unknown(response_id)
    choices = _decode(trace.output) if trace.output else []
    await call.respond(msgspec.json.encode(_response(response_id, trace, choices)))


def _unknown(response_id: str) -> NotFound:
    return NotFound(
        f"no response has the id {response_id!r}",
        hint="it was not stored, is older than traces are kept, or belongs to another key",
    )


def _response(response_id: str, trace: Trace, choices: Sequence[Choice]) -> Json:
    choice = choices[0] if choices else Choice()
    reason: FinishReason | None = choice.finish_reason
    # A client that left cut its answer short; a refused or failed one has none.
    is_over = trace.status in ("ok", "blocked") and bool(choices)
    usage = Usage(trace.prompt_tokens, trace.completion_tokens, trace.cached_tokens)
    status = status_of(reason) if is_over else "failed"
    if trace.status == "cancelled":
        status = "incomplete"
    details = {"length": "max_output_tokens", "content_filter": "content_filter"}
    return {
        "id": response_id,
        "object": "response",
        "created_at": int(trace.started_at),
        "completed_at": int(trace.started_at + trace.duration_s) if status == "completed" else None,
        "status": status,
        "background": False,
        "error": _error(trace) if status == "failed" else None,
        "incomplete_details": {"reason": details[reason]} if reason in details else None,
        "instructions": None,
        "metadata": {},
        "model": trace.model,
        "output": output_of(choice, trace.id) if choices else [],
        "parallel_tool_calls": True,
        "store": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "usage": usage_of(usage),
    }


def _error(trace: Trace) -> Json:
    return {"code": "server_error", "message": f"it failed: {trace.error or 'interrupted'}"}
