"""Asking a backend, and gathering what it gives."""

from collections.abc import Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Protocol

from headrace.models.backend import Call
from headrace.types import (
    Delta,
    Deltas,
    FinishReason,
    Message,
    Params,
    TokenLogprob,
    ToolCallDelta,
    Usage,
)

__all__ = ["Answer", "ask", "call"]


class Generates(Protocol):
    """A backend, or a model in front of one."""

    def generate(self, call: Call) -> Deltas: ...


@dataclass
class Answer:
    """All that one call gave."""

    texts: dict[int, str] = field(default_factory=dict)
    reasons: dict[int, FinishReason] = field(default_factory=dict)
    logprobs: list[TokenLogprob] = field(default_factory=list)
    tool_calls: list[ToolCallDelta] = field(default_factory=list)
    usages: list[Usage] = field(default_factory=list)
    pieces: int = 0

    def take(self, delta: Delta) -> None:
        """Add one piece."""
        self.pieces += bool(delta.text)
        self.texts[delta.index] = self.texts.get(delta.index, "") + delta.text
        self.logprobs += delta.logprobs or []
        self.tool_calls += delta.tool_calls or []
        if delta.finish_reason is not None:
            assert delta.index not in self.reasons
            self.reasons[delta.index] = delta.finish_reason
        if delta.usage is not None:
            self.usages.append(delta.usage)

    @property
    def text(self) -> str:
        return self.texts.get(0, "")

    @property
    def usage(self) -> Usage:
        (usage,) = self.usages
        return usage


def call(prompt: str | Iterable[Message], *, completion: bool = False, **params: object) -> Call:
    """One generation; greedy and short unless `params` say otherwise."""
    messages = [Message(role="user", content=prompt)] if isinstance(prompt, str) else list(prompt)
    given: dict[str, object] = {"temperature": 0.0, "max_tokens": 16, **params}
    return Call(messages, Params(**given), completion)  # type: ignore[arg-type]  # by name


async def ask(backend: Generates, asked: Call) -> Answer:
    """The whole answer."""
    answer = Answer()
    async with aclosing(backend.generate(asked)) as deltas:
        async for delta in deltas:
            answer.take(delta)
    return answer
