"""A conversation as the page shows it: questions with their answers, traces and ratings."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from headrace.console.source import Source
from headrace.telemetry.trace import Trace
from headrace.types import Message

__all__ = ["Exchange", "exchanges"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One question and what came of it."""

    question: str = ""
    answer: str = ""
    reasoning: str = ""
    trace: Trace | None = None
    """None once it was deleted, or while the answer is being written."""
    sources: Sequence[Source] = ()
    """What the answer cites."""
    score: int | None = None
    """The reader's own rating: 1, -1 or none yet."""
    is_new: bool = False
    """Being written: the steps are shown open."""

    @property
    def is_stopped(self) -> bool:
        return self.trace is not None and self.trace.status == "cancelled"


def exchanges(
    turns: Sequence[tuple[str, Sequence[Message]]],
    traces: Mapping[str, Trace],
    scores: Mapping[str, int],
) -> Iterator[Exchange]:
    """The stored turns of a conversation, oldest first.

    Args:
        turns: a trace id and the messages that its turn added; the id may be of no trace.
        traces: by id.
        scores: the reader's ratings by trace id.
    """
    for trace_id, messages in turns:
        asked = [m.text() for m in messages if m.role == "user"]
        answered = [m.text() for m in messages if m.role == "assistant"]
        yield Exchange(
            question="\n\n".join(asked),
            answer="\n\n".join(answered),
            trace=traces.get(trace_id),
            score=scores.get(trace_id),
        )
