"""Running text filters over an answer's deltas.

Neighbouring steps that only filter text run in one pass here: one loop over the deltas, however
many steps. A choice has up to three kinds of text (answer, reasoning, arguments of each tool
call); each gets its own chain of filters.
"""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import aclosing
from typing import TypeVar

import msgspec

from headrace.errors import PolicyBlocked
from headrace.pipeline.step import Channel, Settings, Step, TextFilter
from headrace.pipeline.turn import Turn
from headrace.types import Delta, Deltas, FinishReason, FunctionDelta, TokenLogprob, ToolCallDelta

__all__ = ["filtered"]

S = TypeVar("S", bound=Settings)


class _Chain:
    """The filters of one text, run one after the other."""

    __slots__ = ("_busy_s", "_filters")

    def __init__(self, filters: Sequence[tuple[int, TextFilter]], busy_s: list[float]) -> None:
        self._filters = filters
        self._busy_s = busy_s

    def push(self, text: str) -> str:
        before = time.perf_counter()
        for position, each in self._filters:
            text = each.push(text)
            now = time.perf_counter()
            self._busy_s[position] += now - before
            before = now
            if not text:
                break
        return text

    def finish(self, reason: FinishReason | None) -> str:
        """What the filters still hold; each one's rest flows through those after it."""
        rest = ""
        for _, each in self._filters:
            rest = (each.push(rest) if rest else "") + each.finish(reason)
        return rest


class _Logprobs:
    """Releases a token's log probability once its text has left, and only while text is unchanged.

    A token that a filter held back, masked or dropped must not leave as a log probability, nor one
    of another text (a server may count those of its chain of thought in); from the first on that
    is not just the text that left, none leave any more.
    """

    __slots__ = ("_intact", "_left", "_raw", "_waiting")

    def __init__(self) -> None:
        self._waiting: deque[tuple[bytes, TokenLogprob]] = deque()
        self._raw = ""
        """Text that came in and has not left yet."""
        self._left = b""
        """What has left and belongs to waiting tokens (a token may be half a letter)."""
        self._intact = True

    def release(
        self, pushed: str, tokens: list[TokenLogprob] | None, left: str
    ) -> list[TokenLogprob] | None:
        if not self._intact:
            return None
        self._raw += pushed
        self._waiting.extend((_bytes_of(token), token) for token in tokens or ())
        if not self._raw.startswith(left):
            return self._stop([])
        self._raw = self._raw[len(left) :]
        self._left += left.encode()
        ready: list[TokenLogprob] = []
        while self._waiting and len(self._waiting[0][0]) <= len(self._left):
            said, token = self._waiting.popleft()
            if not self._left.startswith(said):
                return self._stop(ready)
            self._left = self._left[len(said) :]
            ready.append(token)
        return ready or None

    def _stop(self, ready: list[TokenLogprob]) -> list[TokenLogprob] | None:
        self._intact = False
        self._waiting.clear()
        return ready or None


def _bytes_of(token: TokenLogprob) -> bytes:
    return bytes(token.bytes) if token.bytes is not None else token.token.encode()


class _Choice:
    """The chains of one choice, and whether it has ended."""

    __slots__ = ("arguments", "ended", "logprobs", "names", "reasoning", "refusal", "said", "text")

    def __init__(self) -> None:
        self.said = False
        """Whether anything of the answer has left."""
        self.text: _Chain | None = None
        self.reasoning: _Chain | None = None
        self.refusal: _Chain | None = None
        self.arguments: dict[int, _Chain] = {}
        self.names: dict[int, list[str]] = {}
        """By call: pieces of the name of a tool that nobody offered."""
        self.logprobs = _Logprobs()
        self.ended = False


class _Filters:
    """All chains of one turn."""

    def __init__(
        self, turn: Turn, steps: Sequence[tuple[int, Step[Settings]]], busy_s: list[float]
    ):
        self._turn = turn
        self._steps = steps
        self._busy_s = busy_s
        self._choices: dict[int, _Choice] = {}
        self._is_quick = not turn.params.logprobs
        self._offered = _names_of([*(turn.params.tools or ()), *(turn.template_params.tools or ())])

    def apply(self, delta: Delta) -> Delta | None:
        """The delta with its texts filtered; None when nothing of it may leave yet."""
        if delta.usage is not None:
            return delta
        choice = self._choices.get(delta.index)
        if choice is None:
            choice = self._choices[delta.index] = _Choice()
        if choice.ended:
            return None
        try:
            passed = (
                self._words(choice, delta)
                if self._is_quick and _is_words(delta)
                else self._filter(choice, delta)
            )
        except PolicyBlocked as blocked:
            choice.ended = True
            self._turn.blocked = blocked.message
            return Delta(
                index=delta.index,
                text="" if choice.said else blocked.message,
                finish_reason="content_filter",
            )
        if passed is not None and (passed.text or passed.refusal):
            choice.said = True
        return passed

    def close(self, passed: Delta | None) -> Iterator[Delta]:
        """The last delta of every choice that has not ended; `passed` becomes part of its own."""
        for index, choice in self._choices.items():
            if choice.ended:
                continue
            last = self.apply(Delta(index=index, finish_reason="stop"))
            if last is not None and passed is not None and passed.index == index:
                last.text = passed.text + last.text
                last.reasoning = passed.reasoning + last.reasoning
                last.refusal = passed.refusal + last.refusal
                last.tool_calls = [*(passed.tool_calls or ()), *(last.tool_calls or ())] or None
                last.logprobs = [*(passed.logprobs or ()), *(last.logprobs or ())] or None
                passed = None
            if last is not None:
                yield last
        if passed is not None:
            yield passed

    def all_ended(self) -> bool:
        """Whether nothing more can leave, so that generation may stop early."""
        return len(self._choices) >= (self._turn.params.n or 1) and all(
            choice.ended for choice in self._choices.values()
        )

    def _words(self, choice: _Choice, delta: Delta) -> Delta | None:
        """The short way for what nearly all deltas are."""
        if choice.text is None:
            choice.text = self._chain("text", delta.index)
        text = choice.text.push(delta.text)
        if text == delta.text:
            return delta
        return Delta(index=delta.index, text=text) if text else None

    def _filter(self, choice: _Choice, delta: Delta) -> Delta | None:
        pushed = delta.text
        text = self._text(choice, delta.index).push(pushed) if pushed else ""
        reasoning = (
            self._reasoning(choice, delta.index).push(delta.reasoning) if delta.reasoning else ""
        )
        refusal = self._refusal(choice, delta.index).push(delta.refusal) if delta.refusal else ""
        calls = self._tool_calls(choice, delta) if delta.tool_calls else None
        if delta.finish_reason is not None:
            choice.ended = True
            if choice.text is not None:
                text += choice.text.finish(delta.finish_reason)
            if choice.reasoning is not None:
                reasoning += choice.reasoning.finish(delta.finish_reason)
            if choice.refusal is not None:
                refusal += choice.refusal.finish(delta.finish_reason)
            calls = self._finish_calls(choice, delta.index, calls, delta.finish_reason)
        logprobs = (
            choice.logprobs.release(pushed, delta.logprobs, text)
            if delta.logprobs is not None or self._turn.params.logprobs
            else None
        )
        if not (
            text or reasoning or refusal or calls or logprobs or delta.finish_reason is not None
        ):
            return None
        return Delta(
            index=delta.index,
            text=text,
            reasoning=reasoning,
            refusal=refusal,
            tool_calls=calls,
            logprobs=logprobs,
            finish_reason=delta.finish_reason,
        )

    def _chain(self, channel: Channel, index: int) -> _Chain:
        filters = [
            (position, made)
            for position, step in self._steps
            if (made := step.filter(self._turn, channel, index)) is not None
        ]
        return _Chain(filters, self._busy_s)

    def _text(self, choice: _Choice, index: int) -> _Chain:
        if choice.text is None:
            choice.text = self._chain("text", index)
        return choice.text

    def _reasoning(self, choice: _Choice, index: int) -> _Chain:
        if choice.reasoning is None:
            choice.reasoning = self._chain("reasoning", index)
        return choice.reasoning

    def _refusal(self, choice: _Choice, index: int) -> _Chain:
        # Shown to the user in place of an answer, so it is one to every filter.
        if choice.refusal is None:
            choice.refusal = self._chain("text", index)
        return choice.refusal

    def _tool_calls(self, choice: _Choice, delta: Delta) -> list[ToolCallDelta] | None:
        out: list[ToolCallDelta] = []
        for call in delta.tool_calls or ():
            if call.function is None:
                out.append(call)
                continue
            name = self._name(choice, delta.index, call.index, call.function)
            arguments = call.function.arguments
            if arguments:
                chain = choice.arguments.get(call.index)
                if chain is None:
                    chain = choice.arguments[call.index] = self._chain("arguments", delta.index)
                arguments = chain.push(arguments)
            if arguments or call.id or name or call.function.arguments == "":
                function = msgspec.structs.replace(call.function, name=name, arguments=arguments)
                out.append(msgspec.structs.replace(call, function=function))
        return out or None

    def _name(self, choice: _Choice, index: int, call: int, function: FunctionDelta) -> str | None:
        """The tool's name, as far as it may leave: what the model made up is a text like others."""
        if function.name:
            if call not in choice.names and function.name in self._offered:
                return function.name
            choice.names.setdefault(call, []).append(function.name)
        return self._made_up(choice, index, call) if function.arguments else None

    def _made_up(self, choice: _Choice, index: int, call: int) -> str | None:
        """The name that was held back, now that it is whole."""
        name = "".join(choice.names.pop(call, ()))
        if not name or name in self._offered:
            return name or None
        chain = self._chain("name", index)
        return (chain.push(name) + chain.finish("stop")) or None

    def _finish_calls(
        self,
        choice: _Choice,
        index: int,
        calls: list[ToolCallDelta] | None,
        reason: FinishReason,
    ) -> list[ToolCallDelta] | None:
        for call in tuple(choice.names):
            if name := self._made_up(choice, index, call):
                function = FunctionDelta(name=name)
                calls = [*(calls or ()), ToolCallDelta(index=call, function=function)]
        for call, chain in choice.arguments.items():
            if rest := chain.finish(reason):
                function = FunctionDelta(arguments=rest)
                calls = [*(calls or ()), ToolCallDelta(index=call, function=function)]
        return calls


def _is_words(delta: Delta) -> bool:
    """Whether there is a piece of the answer in it, and nothing else."""
    return bool(delta.text) and not (
        delta.reasoning
        or delta.refusal
        or delta.tool_calls
        or delta.logprobs
        or delta.finish_reason
    )


def _names_of(tools: Sequence[dict[str, object]]) -> frozenset[str]:
    functions = (tool.get("function") for tool in tools)
    names = (each.get("name") for each in functions if isinstance(each, dict))
    return frozenset(name for name in names if isinstance(name, str))


async def filtered(
    turn: Turn,
    steps: Sequence[tuple[int, Step[Settings]]],
    deltas: Deltas,
    busy_s: list[float],
) -> Deltas:
    """The deltas with every step's filter applied, in order.

    Args:
        steps: `(position, step)`; the time each one's filters take is added to `busy_s[position]`.

    A filter that raises PolicyBlocked ends its choice with finish_reason `content_filter`; the
    policy's message is the text if nothing was said yet. A filter that sets
    `turn.stop_generation` ends the answer with finish_reason `stop`. A stream that breaks off
    loses what the filters still held back: it may be half of something that must not leave.
    """
    filters = _Filters(turn, steps, busy_s)
    async with aclosing(deltas) as upstream:
        async for delta in upstream:
            stopping = turn.stop_generation
            passed = filters.apply(delta)
            if turn.stop_generation and not stopping:
                # One of these filters wants no more: what they all still hold is the end.
                for last in filters.close(passed):
                    yield last
                return
            if passed is not None:
                yield passed
                if passed.finish_reason == "content_filter" and filters.all_ended():
                    # What the model still writes would be thrown away: free its slot now.
                    return
