"""What a suite asks of a model, and what comes back."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import msgspec

from headrace.types import Message, Params

__all__ = ["Answer", "Answerer", "Ask"]


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One call of the model."""

    messages: list[Message]
    params: Params
    template: str | None = None
    model: str | None = None
    variables: dict[str, object] = msgspec.field(default_factory=dict)


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a call; of several turns the last text, the sums of what they took."""

    text: str
    ttft_s: float | None = None
    """Of the last turn."""
    total_s: float = 0.0
    cost_usd: float = 0.0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    said: list[str] = msgspec.field(default_factory=list)
    """Of several turns, what was answered before the last."""
    sources: list[str] = msgspec.field(default_factory=list)
    """Texts of the passages that the last turn was given."""


Answerer: TypeAlias = Callable[[Ask], Awaitable[Answer]]
