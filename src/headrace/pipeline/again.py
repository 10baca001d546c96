"""Asking the model once more within one turn, because a step held its answer back and found it wanting."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from headrace.pipeline.turn import Turn
from headrace.screening.finding import Finding
from headrace.types import Message, Usage

__all__ = ["AskAgain", "Spent"]


class AskAgain(Exception):
    """Raised by a step's `transform` that has let nothing of the answer pass.

    What the filters noted about the first answer is forgotten with it; what is given here is kept.
    """

    def __init__(
        self,
        messages: Sequence[Message],
        *,
        state: Mapping[str, object],
        findings: Sequence[Finding] = (),
    ) -> None:
        """
        Args:
            messages: what the model is asked now.
            state: goes into the turn's state; must hold what bounds the asking.
            findings: what was found in the answer that is thrown away.
        """
        super().__init__()
        self.messages = list(messages)
        self.state = state
        self.findings = findings


@dataclass(slots=True)
class Spent:
    """What answers took that the user did not get, so that the turn's bill is whole."""

    usage: Usage = field(default_factory=Usage)
    cost_usd: float = 0.0

    def take(self, turn: Turn) -> None:
        """The answer of now is thrown away."""
        self.usage = self.with_usage(turn.usage)
        self.cost_usd += turn.trace.cost_usd

    def with_usage(self, usage: Usage) -> Usage:
        """The tokens of both."""
        return Usage(
            **{
                name: getattr(self.usage, name) + value
                for name, value in msgspec.structs.asdict(usage).items()
            }
        )

    def settle(self, turn: Turn) -> None:
        """Put it on the turn's bill, beside the answer that the user got."""
        turn.usage = self.with_usage(turn.usage)
        turn.trace.cost_usd += self.cost_usd
