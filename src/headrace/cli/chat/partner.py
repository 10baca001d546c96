"""Who answers: a running service over HTTP, or the same platform in this process."""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Protocol

from headrace.types import Usage

__all__ = ["Partner", "Question", "Reply"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, and how. None leaves a choice to the service."""

    text: str
    conversation: str | None = None
    model: str | None = None
    template: str | None = None
    max_tokens: int | None = None


@dataclass(slots=True, kw_only=True)
class Reply:
    """What is known of an answer; filled in while it streams."""

    text: list[str] = field(default_factory=list)
    trace_id: str = ""
    """The turn's trace; empty when the turn did not begin."""
    release: str = ""
    model: str = ""
    finish_reason: str | None = None
    usage: Usage | None = None


class Partner(Protocol):
    """Answers one question at a time."""

    url: str | None
    """Where it listens; None when it is this process."""

    def answer(self, question: Question, reply: Reply) -> Generator[str, None, None]:
        """The answer, piece by piece. Closing the iterator stops the generation.

        Raises:
            HeadraceError: the question was refused, or the answer broke off.
        """
        ...
