"""Telling what a request adds to its conversation from what it only says again.

OpenAI's clients send the whole list of messages each time. With a conversation's id that list
repeats what is remembered; put beside the memory as it stands, everything would be there twice.
"""

from collections.abc import Sequence

from headrace.types import Message

__all__ = ["Overlap", "overlap"]

import msgspec


class Overlap(msgspec.Struct, frozen=True):
    """How a request's messages stand to the remembered turns."""

    turns: int
    """Remembered turns, the oldest ones, that the request does not repeat: they come before it."""
    repeated: int
    """Messages at the request's beginning that are remembered already."""


def overlap(turns: Sequence[Sequence[Message]], given: Sequence[Message]) -> Overlap:
    """What of `turns` the request repeats.

    A request that brings answers which are not those remembered has a history of its own (an
    earlier message was edited, say): then nothing remembered comes before it, and only what
    follows its last answer is new.
    """
    repeated: list[Message] = []
    longest = Overlap(len(turns), 0)
    for index in range(len(turns) - 1, -1, -1):
        repeated[:0] = turns[index]
        if len(repeated) > len(given):
            break
        if all(map(_is_same, repeated, given)):
            longest = Overlap(index, len(repeated))
    if longest.repeated:
        return longest
    last = max((i for i, each in enumerate(given) if each.role == "assistant"), default=-1)
    return Overlap(len(turns), 0) if last < 0 else Overlap(0, last + 1)


def _is_same(remembered: Message, given: Message) -> bool:
    return remembered.role == given.role and (
        remembered.text().strip() == given.text().strip()
        and [call.id for call in remembered.tool_calls or ()]
        == [call.id for call in given.tool_calls or ()]
    )
