"""Listening to one round: is it the answer, or does the model call a tool of the service?

That is known for sure at the end only, so what comes is held back. A streamed answer would be none
then, so there a text that has grown past a preamble ("Let me look that up.") is let out.
"""

from collections.abc import Collection, Iterator

import msgspec

from headrace.pipeline.answer import AnswerGatherer
from headrace.pipeline.turn import Turn
from headrace.types import (
    Choice,
    Delta,
    FunctionCall,
    FunctionDelta,
    Message,
    ToolCall,
    ToolCallDelta,
)

__all__ = ["PREAMBLE_CHARS", "Listener"]

PREAMBLE_CHARS = 160
"""Longest text that is held back of a streamed answer: two or three sentences."""


class Listener:
    """Takes the deltas of one round, and gives those that may be shown."""

    def __init__(self, turn: Turn, own: Collection[str], *, holds: int | None, joined: bool):
        """
        Args:
            own: names of the service's functions.
            holds: characters of text that are held back; None: all.
            joined: whether text of an earlier round was shown, so that this one begins anew.
        """
        self._own = own
        self._holds = holds
        self._gathered = AnswerGatherer(turn)
        self._held: list[Delta] = []
        self._chars = 0
        self._calls_began = False
        self._is_out = holds == 0
        self._joined = joined
        self._end: Delta | None = None
        self.shown = False
        """Whether text of this round was let out."""
        self.has_usage = False
        """Whether the deployment told what the round took."""

    def take(self, delta: Delta) -> Iterator[Delta]:
        """What may be shown now."""
        self._gathered.add(delta)
        if delta.usage is not None:
            self.has_usage = True
            return
        if delta.tool_calls:
            # Whose they are is told by names that come in pieces: they wait for the end.
            self._calls_began = True
            delta = msgspec.structs.replace(delta, tool_calls=None)
        if delta.finish_reason is not None:
            self._end = delta
            return
        self._held.append(delta)
        self._chars += len(delta.text)
        if self._holds is not None and self._chars > self._holds and not self._calls_began:
            self._is_out = True
        if self._is_out:
            yield from self._released()

    def _released(self) -> Iterator[Delta]:
        held, self._held = self._held, []
        for delta in held:
            if not (delta.text or delta.reasoning or delta.refusal or delta.logprobs):
                continue
            if delta.text and not self.shown:
                self.shown = True
                if self._joined:
                    delta = msgspec.structs.replace(delta, text="\n\n" + delta.text.lstrip())
            yield delta

    @property
    def choice(self) -> Choice:
        """What the model said, as far as it has come."""
        return next(iter(self._gathered.choices()), Choice())

    @property
    def own_calls(self) -> list[ToolCall]:
        """The calls of the service's functions, each with an id of its own."""
        seen: set[str] = set()
        calls: list[ToolCall] = []
        for at, call in enumerate(self.choice.tool_calls):
            if call.function.name not in self._own:
                continue
            name = call.id if call.id and call.id not in seen else f"call_{at}_{len(seen)}"
            seen.add(name)
            arguments = call.function.arguments.strip() or "{}"
            calls.append(ToolCall(id=name, function=FunctionCall(call.function.name, arguments)))
        return calls

    def as_message(self, calls: list[ToolCall]) -> Message:
        """The round as the model's own words, for the next."""
        choice = self.choice
        return Message(
            role="assistant",
            content=choice.text or None,
            tool_calls=calls,
            reasoning_content=choice.reasoning or None,
        )

    def rest(self, *, fallback: str) -> Iterator[Delta]:
        """What was held back, now that the round is the answer; then its end.

        Calls of the service's functions are left out: nobody else could answer them.

        Args:
            fallback: the text if there would be none.
        """
        yield from self._released()
        choice = self.choice
        client_calls = [each for each in choice.tool_calls if each.function.name not in self._own]
        end = self._end
        dropped = len(client_calls) < len(choice.tool_calls)
        pieces = _pieces(client_calls)
        if dropped and not client_calls and not choice.text and not choice.refusal:
            yield Delta(text=fallback)
        if end is not None:
            reason = end.finish_reason
            if reason == "tool_calls" and dropped and not client_calls:
                reason = "stop"
            yield msgspec.structs.replace(end, tool_calls=pieces or None, finish_reason=reason)
        elif pieces:
            yield Delta(tool_calls=pieces)


def _pieces(calls: list[ToolCall]) -> list[ToolCallDelta]:
    return [
        ToolCallDelta(
            index=at,
            id=call.id,
            type="function",
            function=FunctionDelta(name=call.function.name, arguments=call.function.arguments),
        )
        for at, call in enumerate(calls)
    ]
