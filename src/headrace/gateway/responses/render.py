"""The response object and its items, as the Responses API has them."""

from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec

from headrace.errors import HeadraceError
from headrace.gateway.annotation import responses_annotation
from headrace.gateway.errors import status_of as http_status_of
from headrace.gateway.responses.wire import ResponsesRequest
from headrace.pipeline.turn import Turn
from headrace.types import Choice, FinishReason, TokenLogprob, Usage

__all__ = [
    "Json",
    "ResponseRenderer",
    "Status",
    "call_item",
    "failure_of",
    "item_id",
    "logprobs_of",
    "message_item",
    "output_of",
    "reasoning_item",
    "reasoning_part",
    "refusal_part",
    "status_of",
    "text_part",
    "usage_of",
]

Json: TypeAlias = dict[str, object]
Status: TypeAlias = Literal["in_progress", "completed", "incomplete", "failed"]

_encode = msgspec.json.Encoder().encode
_REASONS: Mapping[FinishReason, str] = {
    "length": "max_output_tokens",
    "content_filter": "content_filter",
}
"""Why an answer is incomplete, by finish reason."""
_FAILURE_BY_STATUS = {400: "invalid_prompt", 429: "rate_limit_exceeded"}


class ResponseRenderer:
    """The response to one request."""

    def __init__(
        self, turn: Turn, request: ResponsesRequest, response_id: str, *, is_stored: bool
    ) -> None:
        self._turn = turn
        self._request = request
        self.id = response_id
        self._is_stored = is_stored
        self.created_at = int(turn.trace.started_at)

    @property
    def turn_id(self) -> str:
        return self._turn.id

    def whole(self) -> bytes:
        """The finished response."""
        choice = next(iter(self._turn.choices), None) or Choice()
        output = output_of(choice, self.turn_id)
        return _encode(self.response(status_of(choice.finish_reason), output, choice.finish_reason))

    def response(
        self,
        status: Status,
        output: Sequence[Json],
        finish_reason: FinishReason | None = None,
        error: HeadraceError | None = None,
    ) -> Json:
        """The response object as it stands."""
        request, turn = self._request, self._turn
        named = request.conversation_name
        reason = _REASONS.get(finish_reason) if finish_reason is not None else None
        is_over = status != "in_progress"
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created_at,
            "completed_at": _now(turn) if status == "completed" else None,
            "status": status,
            "background": False,
            "error": None if error is None else failure_of(error),
            "incomplete_details": None if reason is None else {"reason": reason},
            "instructions": request.instructions,
            "max_output_tokens": request.max_output_tokens,
            "max_tool_calls": request.max_tool_calls,
            "model": turn.model,
            "output": output,
            "parallel_tool_calls": request.parallel_tool_calls is not False,
            "previous_response_id": request.previous_response_id,
            "conversation": None if named is None else {"id": named},
            "prompt_cache_key": request.prompt_cache_key,
            "reasoning": {
                "effort": request.reasoning.effort if request.reasoning else None,
                "summary": request.reasoning.summary if request.reasoning else None,
            },
            "safety_identifier": request.safety_identifier,
            "service_tier": request.service_tier or "default",
            "store": self._is_stored,
            "temperature": request.temperature,
            "text": {
                "format": (request.text.format if request.text else None) or {"type": "text"},
                "verbosity": request.text.verbosity if request.text else None,
            },
            "tool_choice": "auto" if request.tool_choice is None else request.tool_choice,
            "tools": request.tools or [],
            "top_logprobs": request.top_logprobs or 0,
            "top_p": request.top_p,
            "truncation": request.truncation or "disabled",
            "usage": usage_of(turn.usage) if is_over else None,
            "user": request.user,
            "metadata": request.metadata or {},
        }


def _now(turn: Turn) -> int:
    return int(turn.trace.started_at + turn.trace.duration_s)


def status_of(finish_reason: FinishReason | None) -> Status:
    """What became of an answer that ended so."""
    return "incomplete" if finish_reason in _REASONS else "completed"


def failure_of(error: HeadraceError) -> Json:
    """`error` of a response that failed, in the few codes that the API has."""
    code = _FAILURE_BY_STATUS.get(http_status_of(error), "server_error")
    if error.code == "rate_limit_exceeded":
        # A provider's, too, although its status here is that of a model which is down.
        code = "rate_limit_exceeded"
    message = f"{error.message} ({error.hint})" if error.hint else error.message
    return {"code": code, "message": message}


def usage_of(usage: Usage) -> Json:
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {
            "cached_tokens": usage.cached_tokens,
            "cache_write_tokens": usage.cache_write_tokens,
        },
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }


def output_of(choice: Choice, turn_id: str) -> list[Json]:
    """The items of a finished answer: its thoughts, what it says, what it calls."""
    output: list[Json] = []
    status = status_of(choice.finish_reason)
    if choice.reasoning:
        output.append(reasoning_item(item_id("rs", turn_id, 0), [choice.reasoning], status))
    parts: list[Json] = []
    if choice.text or not (choice.refusal or choice.tool_calls):
        remarks = list(map(responses_annotation, choice.annotations))
        parts.append(text_part(choice.text, logprobs_of(choice.logprobs), remarks))
    if choice.refusal:
        parts.append(refusal_part(choice.refusal))
    if parts:
        output.append(message_item(item_id("msg", turn_id, len(output)), parts, status))
    for call in choice.tool_calls:
        made = item_id("fc", turn_id, len(output))
        function = call.function
        output.append(
            call_item(made, call.id or f"call_{made}", function.name, function.arguments, status)
        )
    return output


def item_id(kind: Literal["rs", "msg", "fc"], turn_id: str, index: int) -> str:
    """Unique as the turn's id is."""
    return f"{kind}_{turn_id.replace('-', '')}{index:04x}"


def reasoning_item(made: str, texts: Sequence[str], status: Status) -> Json:
    """Thoughts come in full, as the model wrote them: nothing here summarises them."""
    content = [reasoning_part(text) for text in texts]
    return {"id": made, "type": "reasoning", "summary": [], "content": content, "status": status}


def message_item(made: str, parts: Sequence[Json], status: Status) -> Json:
    return {
        "id": made,
        "type": "message",
        "status": status,
        "role": "assistant",
        "content": parts,
    }


def call_item(made: str, call_id: str, name: str, arguments: str, status: Status) -> Json:
    return {
        "id": made,
        "type": "function_call",
        "status": status,
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    }


def text_part(text: str, logprobs: Sequence[Json] = (), annotations: Sequence[Json] = ()) -> Json:
    return {"type": "output_text", "text": text, "annotations": annotations, "logprobs": logprobs}


def refusal_part(refusal: str) -> Json:
    return {"type": "refusal", "refusal": refusal}


def reasoning_part(text: str) -> Json:
    return {"type": "reasoning_text", "text": text}


def logprobs_of(tokens: Sequence[TokenLogprob] | None) -> list[Json]:
    return [
        {**_logprob(each), "top_logprobs": [_logprob(top) for top in each.top_logprobs]}
        for each in tokens or ()
    ]


def _logprob(token: TokenLogprob) -> Json:
    octets = list(token.token.encode()) if token.bytes is None else token.bytes
    return {"token": token.token, "logprob": token.logprob, "bytes": octets}
