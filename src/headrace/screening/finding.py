"""What a detector reports about a text, and what was done about it."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias, runtime_checkable

import msgspec

from headrace.types import Message

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "LOOKBEHIND",
    "STRENGTH",
    "Action",
    "CostlyDetector",
    "Detector",
    "Finding",
    "Side",
    "Span",
    "StreamDetector",
    "Tools",
]

Action: TypeAlias = Literal[
    "allow", "flag", "disclaimer", "mask", "rewrite", "ask", "escalate", "block"
]
"""What is done about a finding, from the weakest to the strongest."""
Side: TypeAlias = Literal["input", "output"]

STRENGTH: dict[Action, int] = {
    "allow": 0,
    "flag": 1,
    "disclaimer": 2,
    "mask": 3,
    "rewrite": 4,
    "ask": 5,
    "escalate": 6,
    "block": 7,
}
"""Which of several actions counts."""

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
    note: str = ""
    """Why, in words for the trace; never what the text says."""

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
    note: str = ""
    """What else is to be known: why it was found, `would block` (observed only), `confirmed`, or a
    fault's class."""


@runtime_checkable
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


class Tools(Protocol):
    """What a costly detector may use: the models of the service it runs in."""

    async def embed(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """One unit vector per text. Raises ModelUnavailable."""
        ...

    async def ask(
        self,
        messages: Sequence[Message],
        *,
        model: str | None,
        max_tokens: int,
        response_format: dict[str, object] | None = None,
    ) -> str:
        """What a model of the box answers, at temperature 0; None: the service's default model.

        Args:
            response_format: the form of the answer, in OpenAI's words; None: any.

        Raises:
            HeadraceError: there is no such model, or it is down.
        """
        ...


@runtime_checkable
class CostlyDetector(Protocol):
    """Finds what takes a model to find. Entry-point group `headrace.costly_detectors`.

    It runs only where a policy asks for it, within the policy's `budget_ms`: then it is cut off.
    One that waits for models is written so. One that computes has `detect` as other detectors
    do, in place of `judge`: it runs in a process of its own, which can be ended.
    """

    @property
    def name(self) -> str: ...

    @property
    def kinds(self) -> tuple[str, ...]: ...

    async def judge(self, text: str, tools: Tools) -> Sequence[Span]:
        """What is in the text; a span is the whole text where no part stands for it."""
        ...
