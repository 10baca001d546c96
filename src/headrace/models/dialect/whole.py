"""An answer that came in one piece, as one delta a choice."""

from collections.abc import Iterable

from headrace.types import Delta, FunctionDelta, ToolCallDelta

__all__ = ["merged"]


def merged(deltas: Iterable[Delta]) -> list[Delta]:
    """One delta for each choice, in the order of their beginnings, then the usage."""
    choices: dict[int, Delta] = {}
    usages: list[Delta] = []
    for delta in deltas:
        if delta.usage is not None:
            usages.append(delta)
        elif delta.index not in choices:
            choices[delta.index] = delta
        else:
            _join(choices[delta.index], delta)
    return [*choices.values(), *usages]


def _join(choice: Delta, more: Delta) -> None:
    choice.text += more.text
    choice.reasoning += more.reasoning
    choice.refusal += more.refusal
    choice.finish_reason = more.finish_reason or choice.finish_reason
    if more.logprobs:
        choice.logprobs = [*(choice.logprobs or ()), *more.logprobs]
    for piece in more.tool_calls or ():
        choice.tool_calls = choice.tool_calls or []
        if piece.id is not None:
            choice.tool_calls.append(piece)
        else:
            _add_arguments(choice.tool_calls[piece.index], piece)


def _add_arguments(call: ToolCallDelta, piece: ToolCallDelta) -> None:
    before = call.function or FunctionDelta()
    more = (piece.function or FunctionDelta()).arguments or ""
    call.function = FunctionDelta(before.name, (before.arguments or "") + more)
