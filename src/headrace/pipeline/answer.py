"""Gathering an answer's deltas into what is stored, counted and remembered."""

import time
from collections.abc import Iterator

from headrace.pipeline.turn import Turn
from headrace.telemetry.trace import Trace
from headrace.types import (
    Annotation,
    Choice,
    Delta,
    FinishReason,
    FunctionCall,
    TokenLogprob,
    ToolCall,
    ToolCallDelta,
)

__all__ = ["AnswerGatherer"]


class _Call:
    """One tool call in the making."""

    __slots__ = ("arguments", "id", "name")

    def __init__(self) -> None:
        self.id = ""
        self.name: list[str] = []
        self.arguments: list[str] = []

    def add(self, piece: ToolCallDelta) -> None:
        self.id = self.id or piece.id or ""
        if piece.function is not None:
            self.name.append(piece.function.name or "")
            self.arguments.append(piece.function.arguments or "")

    def whole(self) -> ToolCall:
        function = FunctionCall(name="".join(self.name), arguments="".join(self.arguments))
        return ToolCall(id=self.id, function=function)


class _Parts:
    """One choice in the making."""

    __slots__ = (
        "annotations",
        "calls",
        "finish_reason",
        "logprobs",
        "reasoning",
        "refusal",
        "text",
    )

    def __init__(self) -> None:
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.refusal: list[str] = []
        self.calls: dict[int, _Call] = {}
        self.logprobs: list[TokenLogprob] = []
        self.finish_reason: FinishReason | None = None
        self.annotations: list[Annotation] = []

    def add(self, delta: Delta) -> None:
        if delta.text:
            self.text.append(delta.text)
        if delta.reasoning:
            self.reasoning.append(delta.reasoning)
        if delta.refusal:
            self.refusal.append(delta.refusal)
        if delta.logprobs:
            self.logprobs.extend(delta.logprobs)
        if delta.annotations:
            self.annotations.extend(delta.annotations)
        for piece in delta.tool_calls or ():
            call = self.calls.get(piece.index)
            if call is None:
                call = self.calls[piece.index] = _Call()
            call.add(piece)
        if delta.finish_reason is not None:
            self.finish_reason = delta.finish_reason


class AnswerGatherer:
    """Collects the deltas as they leave; the turn's usage and timings come from here too."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._parts: dict[int, _Parts] = {}
        self._began = time.perf_counter()
        self._first: float | None = None
        self._last: float | None = None
        self._has_usage = False

    @property
    def first_s(self) -> float | None:
        """Seconds from the start of gathering to the first delta; None when there was none."""
        return None if self._first is None else self._first - self._began

    def add(self, delta: Delta) -> None:
        if delta.usage is not None:
            self._turn.usage = delta.usage
            self._has_usage = True
            return
        parts = self._parts.get(delta.index)
        if parts is None:
            parts = self._parts[delta.index] = _Parts()
        if delta.text or delta.reasoning or delta.tool_calls or delta.refusal:
            self._last = time.perf_counter()
            if self._first is None:
                self._first = self._last
        parts.add(delta)

    def begin_anew(self) -> None:
        """Forget what was gathered: the model broke off, and the answer begins again."""
        self._parts.clear()
        self._first = self._last = None

    def is_whole(self) -> bool:
        """Whether every choice that was asked for has ended."""
        ended = [parts.finish_reason is not None for parts in self._parts.values()]
        return len(ended) >= (self._turn.params.n or 1) and all(ended)

    def close(self, reason: FinishReason | None) -> Iterator[Delta]:
        """What the client must still hear: the end of choices without one, if there is a `reason`;
        then the usage, if the model did not come to say it."""
        for index, parts in self._parts.items():
            if reason is not None and parts.finish_reason is None:
                parts.finish_reason = reason
                yield Delta(index=index, finish_reason=reason)
        if not self._has_usage:
            self._has_usage = True
            yield Delta(usage=self._turn.usage)

    def choices(self) -> list[Choice]:
        return [
            Choice(
                index=index,
                text="".join(parts.text),
                reasoning="".join(parts.reasoning),
                refusal="".join(parts.refusal),
                tool_calls=[call.whole() for call in parts.calls.values()],
                logprobs=parts.logprobs or None,
                finish_reason=parts.finish_reason,
                annotations=parts.annotations,
            )
            for index, parts in sorted(self._parts.items())
        ]

    def describe(self, trace: Trace) -> None:
        """Usage and timings, in the trace's terms."""
        usage = self._turn.usage
        trace.prompt_tokens = usage.prompt_tokens
        trace.completion_tokens = usage.completion_tokens
        trace.cached_tokens = usage.cached_tokens
        reasons = [p.finish_reason for _, p in sorted(self._parts.items()) if p.finish_reason]
        trace.finish_reason = reasons[0] if reasons else None
        if self._first is not None and self._last is not None:
            trace.ttft_s = self._first - trace.clock_zero
            tokens = usage.completion_tokens
            if tokens > 1 and not self._turn.is_held:
                trace.tpot_s = (self._last - self._first) / (tokens - 1)
