"""Gathering an answer's deltas into what is stored, counted and remembered."""

import time
from collections.abc import Iterator

import msgspec

from headrace.pipeline.turn import Turn
from headrace.telemetry.trace import Trace
from headrace.types import Choice, Delta, FinishReason, FunctionCall, TokenLogprob, ToolCall

__all__ = ["AnswerGatherer"]


class _Parts:
    """One choice in the making."""

    __slots__ = ("calls", "finish_reason", "logprobs", "reasoning", "refusal", "text")

    def __init__(self) -> None:
        self.text: list[str] = []
        self.reasoning: list[str] = []
        self.refusal: list[str] = []
        self.calls: dict[int, ToolCall] = {}
        self.logprobs: list[TokenLogprob] = []
        self.finish_reason: FinishReason | None = None


class AnswerGatherer:
    """Collects the deltas as they leave; the turn's usage and timings come from here too."""

    def __init__(self, turn: Turn) -> None:
        self._turn = turn
        self._parts: dict[int, _Parts] = {}
        self._began = time.perf_counter()
        self._first: float | None = None
        self._last: float | None = None

    @property
    def first_s(self) -> float | None:
        """Seconds from the start of gathering to the first delta; None when there was none."""
        return None if self._first is None else self._first - self._began

    def add(self, delta: Delta) -> None:
        if delta.usage is not None:
            self._turn.usage = delta.usage
            return
        parts = self._parts.get(delta.index)
        if parts is None:
            parts = self._parts[delta.index] = _Parts()
        if delta.text or delta.reasoning or delta.tool_calls or delta.refusal:
            self._last = time.perf_counter()
            if self._first is None:
                self._first = self._last
        if delta.text:
            parts.text.append(delta.text)
        if delta.reasoning:
            parts.reasoning.append(delta.reasoning)
        if delta.refusal:
            parts.refusal.append(delta.refusal)
        if delta.logprobs:
            parts.logprobs.extend(delta.logprobs)
        if delta.tool_calls:
            self._add_calls(parts, delta)
        if delta.finish_reason is not None:
            parts.finish_reason = delta.finish_reason

    def begin_anew(self) -> None:
        """Forget what was gathered: the model broke off, and the answer begins again."""
        self._parts.clear()
        self._first = self._last = None

    def close(self, reason: FinishReason) -> Iterator[Delta]:
        """End every choice that has not ended, with a delta for each; then the usage."""
        for index, parts in self._parts.items():
            if parts.finish_reason is None:
                parts.finish_reason = reason
                yield Delta(index=index, finish_reason=reason)
        yield Delta(usage=self._turn.usage)

    def choices(self) -> list[Choice]:
        return [
            Choice(
                index=index,
                text="".join(parts.text),
                reasoning="".join(parts.reasoning),
                refusal="".join(parts.refusal),
                tool_calls=list(parts.calls.values()),
                logprobs=parts.logprobs or None,
                finish_reason=parts.finish_reason,
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
            if tokens > 1:
                trace.tpot_s = (self._last - self._first) / (tokens - 1)

    @staticmethod
    def _add_calls(parts: _Parts, delta: Delta) -> None:
        for piece in delta.tool_calls or ():
            call = parts.calls.get(piece.index)
            if call is None:
                call = parts.calls[piece.index] = ToolCall(
                    id=piece.id or "", function=FunctionCall(name="", arguments="")
                )
            if piece.id and not call.id:
                call.id = piece.id
            if piece.function is not None:
                function = call.function
                call.function = msgspec.structs.replace(
                    function,
                    name=function.name + (piece.function.name or ""),
                    arguments=function.arguments + (piece.function.arguments or ""),
                )
