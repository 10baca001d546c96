"""An answer's deltas, put together as a client would."""

from collections.abc import Iterable

from headrace.models.remote import Reader
from headrace.types import Choice, Delta, FunctionCall, ToolCall, Usage

__all__ = ["fed", "gathered"]


def gathered(deltas: Iterable[Delta]) -> tuple[Choice, Usage | None]:
    """The one choice and the usage; fails where deltas break the order that types.py promises."""
    choice = Choice()
    usage: Usage | None = None
    for delta in deltas:
        assert usage is None, "nothing follows the usage"
        assert delta.index == 0
        if delta.usage is not None:
            assert choice.finish_reason is not None, "usage comes after the end"
            usage = delta.usage
            continue
        assert choice.finish_reason is None, "nothing follows the end"
        choice.text += delta.text
        choice.reasoning += delta.reasoning
        choice.refusal += delta.refusal
        choice.finish_reason = delta.finish_reason
        if delta.logprobs is not None:
            choice.logprobs = (choice.logprobs or []) + delta.logprobs
        for piece in delta.tool_calls or ():
            function = piece.function
            assert function is not None
            if piece.id is not None:
                assert piece.index == len(choice.tool_calls)
                assert function.name is not None
                assert piece.type == "function"
                choice.tool_calls.append(ToolCall(piece.id, FunctionCall(function.name, "")))
            choice.tool_calls[piece.index].function.arguments += function.arguments or ""
    return choice, usage


def fed(reader: Reader, packets: Iterable[bytes]) -> list[Delta]:
    """All deltas of a stream that comes in these packets."""
    deltas = [delta for packet in packets for delta in reader.feed(packet)]
    return [*deltas, *reader.end()]
