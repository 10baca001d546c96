"""What of a conversation comes along whole or not at all: a question with all that answered it.

Usually that is one turn. With tools it is several: the turn that ended in a call, and the turn
that brought the tool's result. A model that is shown the one without the other refuses or invents.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from headrace.pipeline.memory import RememberedTurn
from headrace.types import Message, Role

__all__ = ["Block", "blocks"]

_RESULTS: tuple[Role, ...] = ("tool", "function")


@dataclass(frozen=True, slots=True)
class Block:
    """Turns that belong together, and their messages as the model sees them."""

    turns: Sequence[RememberedTurn]
    messages: Sequence[Message]

    @property
    def position(self) -> str:
        return self.turns[0].position

    def positions(self) -> Iterator[str]:
        """For each message the position of its turn."""
        for turn in self.turns:
            yield from (turn.position for _ in turn.lines)


def blocks(turns: Sequence[RememberedTurn], following: Sequence[Message]) -> list[Block]:
    """The turns in blocks, oldest first.

    Results without their call are left out. So are calls that nobody answered, with their question
    unless there is an answer in words too.

    Args:
        following: what comes behind: if it brings results, the last block's calls are answered.
    """
    groups: list[list[RememberedTurn]] = []
    for turn in turns:
        if turn.lines[0].message.role not in _RESULTS:
            groups.append([turn])
        elif groups and _asks(groups[-1][-1].for_model):
            groups[-1].append(turn)
    answered = bool(following) and following[0].role in _RESULTS
    made = [_block(group, is_answered=answered and group is groups[-1]) for group in groups]
    return [block for block in made if block is not None]


def _block(group: Sequence[RememberedTurn], *, is_answered: bool) -> Block | None:
    messages = [message for turn in group for message in turn.for_model]
    if is_answered or not _asks(messages):
        return Block(group, messages)
    last = messages[-1]
    if not last.text():
        return None
    return Block(group, [*messages[:-1], msgspec.structs.replace(last, tool_calls=None)])


def _asks(messages: Sequence[Message]) -> bool:
    return bool(messages[-1].tool_calls)
