"""Reading an answer that came in one piece: a chat, or a bare completion."""

from typing import Literal

import msgspec

from headrace.errors import HeadraceError, ModelUnavailable
from headrace.models.dialect.reading import UNREADABLE
from headrace.models.openai.choice import Chunk, WireToolCall, delta_of
from headrace.models.openai.errors import Site, error_for, failure_in, failure_of
from headrace.models.openai.usage import WireUsage, usage_of
from headrace.types import Delta, FunctionDelta, ToolCallDelta, Usage

__all__ = ["deltas_of_whole", "figures_of_whole"]


class _UsualChoice(msgspec.Struct):
    message: msgspec.Raw
    finish_reason: Literal["stop", "length", "tool_calls", "content_filter"]
    usage: None = None
    error: None = None


class _Usual(msgspec.Struct):
    """A whole answer as most are; what it says is not decoded."""

    choices: list[_UsualChoice]
    usage: WireUsage
    error: None = None
    x_groq: None = None


_decode = msgspec.json.Decoder(Chunk).decode
_decode_usual = msgspec.json.Decoder(_Usual).decode


def figures_of_whole(body: bytes) -> tuple[Usage, list[str]] | None:
    """Usage and finish reasons of a whole answer; None where it is not as most are: read it then."""
    try:
        read = _decode_usual(body)
    except UNREADABLE:
        return None
    choices = read.choices
    if len(choices) == 1:
        choice = choices[0]
        if bytes(choice.message)[:1] != b"{":
            return None
        return usage_of(read.usage), [choice.finish_reason]
    return None


def deltas_of_whole(body: bytes, site: Site) -> list[Delta]:
    """One delta per choice, then the usage.

    Raises:
        HeadraceError: the body reports a failure (whatever its status was), or is no answer.
    """
    try:
        read = _decode(body)
    except UNREADABLE as error:
        raise _failed(body, site, f"sent something unreadable: {error}") from error
    if not read.choices:
        raise _failed(body, site, "sent an answer without choices")
    deltas: list[Delta] = []
    for choice in read.choices:
        if choice.error is not None:
            raise error_for(failure_of(choice.error), 0, {}, site, 0.0)
        delta = delta_of(choice, site)
        calls = choice.tool_calls()
        if calls:
            delta.tool_calls = [
                _call(call, i, f"{read.id or ''}-{choice.index or 0}")
                for i, call in enumerate(calls)
            ]
        if delta.finish_reason is None:
            delta.finish_reason = "tool_calls" if calls else "stop"
        deltas.append(delta)
    usage = read.usage or next((each.usage for each in read.choices if each.usage), None)
    if usage is not None:
        deltas.append(Delta(usage=usage_of(usage)))
    return deltas


def _call(call: WireToolCall, index: int, seed: str) -> ToolCallDelta:
    function = call.function
    arguments = function.arguments if function is not None else None
    if isinstance(arguments, dict):
        arguments = msgspec.json.encode(arguments).decode()
    return ToolCallDelta(
        index=index,
        id=call.id or f"call_{seed}-{index}",
        type="function",
        function=FunctionDelta(
            name=function.name if function is not None else None, arguments=arguments or ""
        ),
    )


def _failed(body: bytes, site: Site, what: str) -> HeadraceError:
    failure = failure_in(body)
    if failure is not None:
        return error_for(failure, 0, {}, site, 0.0)
    return ModelUnavailable(f"{site.provider} {what} ({site.model})")
