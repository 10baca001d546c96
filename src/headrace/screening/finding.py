"""What a detector reports about a text, and what was done about it."""

from collections.abc import Iterable
from typing import Literal, Protocol, TypeAlias, runtime_checkable

import msgspec

__all__ = ["LOOKBEHIND", "Action", "Detector", "Finding", "Side", "Span", "StreamDetector"]

Action: TypeAlias = Literal["allow", "flag", "mask", "block"]
Side: TypeAlias = Literal["input", "output"]

LOOKBEHIND = 256
"""Characters of context before `start` that a stream always keeps for the detectors to look at."""


class Span(msgspec.Struct, frozen=True):
    """A match in a text: character offsets, end exclusive. Holds no content."""

    kind: str
    start: int
    end: int
    score: float = 1.0
    public: int = 0
    """Leading characters that tell nothing (an IBAN's country, a key's well-known prefix).

    They may leave a stream before the match is known, so that ordinary words need not wait.
    """

    @property
    def shown(self) -> int:
        """Where the part begins that must not be shown."""
        return self.start + self.public


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

    `kinds` are what it may report. `window` is the longest match in characters, counted with the
    text behind it that decides about it: on a stream, that much is held back. None means that
    the detector judges the text as a whole, so a rule that masks or blocks holds all of it back.
    """

    @property
    def name(self) -> str: ...

    @property
    def kinds(self) -> tuple[str, ...]: ...

    @property
    def window(self) -> int | None: ...

    def detect(self, text: str, start: int = 0) -> Iterable[Span]:
        """The matches whose secret part begins at `start` or later.

        Text before `start` has left already and is context only. A match may look at most
        `LOOKBEHIND` characters behind its beginning.
        """
        ...


@runtime_checkable
class StreamDetector(Detector, Protocol):
    """A detector that knows what it is waiting for, so that a stream is held back less."""

    def pending(self, text: str, start: int) -> int:
        """The first index, `start` or later, where a match may begin that more text would decide.

        `len(text)` when there is none. Whatever text follows, `detect` reports the same matches
        before this index.
        """
        ...
