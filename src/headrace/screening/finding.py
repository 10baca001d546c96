"""What a detector reports about a text."""

from collections.abc import Iterable
from typing import Literal, Protocol, TypeAlias

import msgspec

__all__ = ["Action", "Detector", "Finding", "Side", "Span"]

Action: TypeAlias = Literal["allow", "flag", "mask", "block"]
Side: TypeAlias = Literal["input", "output"]


class Span(msgspec.Struct, frozen=True):
    """A match in a text: character offsets, end exclusive. Holds no content."""

    kind: str
    start: int
    end: int
    score: float = 1.0


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What was found and what was done about it. Never the found text: findings go into traces."""

    kind: str
    detector: str
    side: Side
    action: Action
    start: int
    end: int
    score: float = 1.0
    message: int | None = None
    """Index of the message on the input side; None on the output side."""


class Detector(Protocol):
    """Finds one family of content. Pure and fast: runs on every turn, on the event loop.

    `kinds` are what it may report. `window` is the longest match in characters: on a stream,
    text is held back until a match that could begin in it must have ended.
    """

    name: str
    kinds: tuple[str, ...]
    window: int

    def detect(self, text: str) -> Iterable[Span]: ...
