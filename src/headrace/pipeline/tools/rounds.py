"""The loop of a turn that may use tools: ask, run what the model calls, ask again, answer.

Its bounds: rounds, seconds, tokens. Once one is reached the model is asked a last time, and may
call no tool of the service. Rounds before the last are not shown (listen.py says how that goes with
streaming); what they took is on the turn's bill. Cancelling it ends the calls that run.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import msgspec

from headrace.errors import InvalidRequest
from headrace.models.errors import NotOffered
from headrace.models.model import Target
from headrace.pipeline.again import Spent
from headrace.pipeline.step import Settings, Step
from headrace.pipeline.steps.ground.injected import data_detectors
from headrace.pipeline.tools.call import Done, run_calls
from headrace.pipeline.tools.listen import PREAMBLE_CHARS, Listener
from headrace.pipeline.tools.render import render
from headrace.pipeline.tools.tool import Function
from headrace.pipeline.turn import Turn
from headrace.screening.finding import Finding
from headrace.telemetry.trace import Span
from headrace.types import Delta, Deltas, Message, Params

__all__ = ["Ask", "Bounds", "Offer", "Rounds"]

_LAST = "\n\n[No further calls of these tools are possible. Answer now, with what is known.]"
_UNFINISHED = {
    "en": "I could not find the answer in the steps that I may take.",
    "zh": "在允许的步骤内没有找到答案。",
}
_SHORTEST_RESULT = 200
_MOST_CUTS = 16
_ANSWER_TOKENS = 256


@dataclass(frozen=True, slots=True)
class Offer:
    """The functions of one round, beside those of the request."""

    tools: Sequence[dict[str, object]]
    choice: str | None = None
    """`tool_choice` in place of the request's; None leaves it."""

    def added_to(self, params: Params) -> Params:
        """The parameters of the round's model call."""
        tools = [*(params.tools or ()), *self.tools]
        if not tools:
            return msgspec.structs.replace(params, tools=None, tool_choice=None)
        return msgspec.structs.replace(
            params, tools=tools, tool_choice=self.choice or params.tool_choice
        )


Ask = Callable[[Turn, Span, Offer], Deltas]
"""Asks the model with the turn's messages as they are now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How far the loop may go."""

    max_rounds: int
    """Rounds in which tools may be called; one more may follow, to answer."""
    timeout_s: float
    max_tokens: int | None


class Rounds:
    """One turn's loop. Begun anew, when its model broke off, it goes on with what is known."""

    def __init__(
        self,
        turn: Turn,
        functions: Sequence[Function],
        bounds: Bounds,
        *,
        ask: Ask,
        target: Target,
        steps: Sequence[Step[Settings]],
    ) -> None:
        """
        Args:
            steps: those in front of the model; each sees what a tool gave before the model does.

        Raises:
            InvalidRequest: more than one choice is asked for, or a tool of the request has the
                name of one of the service's.
        """
        self._turn = turn
        self._functions: Mapping[str, Function] = {each.name: each for each in functions}
        self._bounds = bounds
        self._ask = ask
        self._target = target
        self._steps = steps
        self._detectors = data_detectors()
        self._deadline = asyncio.get_running_loop().time() + bounds.timeout_s
        self._made: set[tuple[str, str]] = set()
        self._findings: list[Finding] = []
        self._rounds = 0
        self._calls = 0
        self._ended = ""
        _check(turn, self._functions)
        turn.is_held = True
        turn.searches = any(each.kind == "datastore" for each in functions)

    async def deltas(self, span: Span) -> Deltas:
        """The answer.

        Args:
            span: the turn's span `generate`; each round and each call stands under it.
        """
        turn, spent = self._turn, Spent()
        turn.findings += (each for each in self._findings if each not in turn.findings)
        parent = next((i for i, each in enumerate(turn.trace.spans) if each is span), None)
        was_shown = settled = False
        try:
            while True:
                is_last = self._is_last(spent)
                listener = Listener(
                    turn,
                    self._functions,
                    holds=self._holds(is_last=is_last),
                    joined=was_shown,
                )
                with turn.trace.span("round", kind="client") as one:
                    one.parent = parent
                    async with aclosing(self._asked(span, is_last=is_last)) as deltas:
                        async for delta in deltas:
                            for out in listener.take(delta):
                                yield out
                    _describe(one, turn, self._rounds + 1)
                calls = [] if is_last else listener.own_calls
                if not calls:
                    for out in listener.rest(fallback=_words(turn)):
                        yield out
                    # Before the usage is told, which whoever hears it takes for the turn's.
                    spent.settle(turn)
                    settled = True
                    if listener.has_usage:
                        yield Delta(usage=turn.usage)
                    return
                was_shown = was_shown or listener.shown
                spent.take(turn)
                done = await run_calls(
                    turn,
                    calls,
                    self._functions,
                    self._made,
                    deadline=self._deadline,
                    parent=parent,
                )
                self._rounds += 1
                self._calls += len(done)
                await self._remember(listener.as_message(calls), done, is_last=self._is_last(spent))
        finally:
            if not settled:
                spent.settle(turn)
            self._summarise(span)

    async def _asked(self, span: Span, *, is_last: bool) -> Deltas:
        """One round's deltas. A provider that cannot forbid calls is asked without that: the model
        has been told, and what it calls is not heard."""
        offer = self._offer(is_last=is_last)
        try:
            async with aclosing(self._ask(self._turn, span, offer)) as deltas:
                async for delta in deltas:
                    yield delta
        except NotOffered as error:
            if offer.choice != "none" or error.param != "tool_choice":
                raise
        else:
            return
        async with aclosing(self._ask(self._turn, span, Offer(offer.tools, "auto"))) as deltas:
            async for delta in deltas:
                yield delta

    def _is_last(self, spent: Spent) -> bool:
        """Whether no tool may be called any more."""
        bounds, used = self._bounds, spent.usage
        tokens = used.prompt_tokens + used.completion_tokens
        if self._rounds >= bounds.max_rounds:
            self._ended = "max_rounds"
        elif asyncio.get_running_loop().time() >= self._deadline:
            self._ended = "timeout"
        elif bounds.max_tokens is not None and tokens >= bounds.max_tokens:
            self._ended = "max_tokens"
        return bool(self._ended)

    def _holds(self, *, is_last: bool) -> int | None:
        if not self._turn.stream:
            return None
        return 0 if is_last and not self._turn.params.tools else PREAMBLE_CHARS

    def _offer(self, *, is_last: bool) -> Offer:
        asked = self._turn.params.tool_choice
        tools = [each.offer for each in self._functions.values()]
        # What the client insists on holds for the first round; else it would never end.
        is_forced = asked == "required" or isinstance(asked, dict)
        again = "auto" if self._rounds and is_forced else None
        if not is_last:
            return Offer(tools, again)
        if self._turn.params.tools:
            return Offer((), again)
        # Still listed, because some providers refuse a history with calls of tools they lack.
        return Offer(tools, "none")

    async def _remember(self, said: Message, done: Sequence[Done], *, is_last: bool) -> None:
        """Put the round into the prompt: what the model called, and what that gave."""
        turn = self._turn
        added = [said]
        before = len(turn.findings)
        for each in done:
            index = len(turn.messages) + len(added)
            rendered = render(turn, each.result, each.function.settings, self._detectors, index)
            each.span.attributes["headrace.execute_tool.bytes"] = len(rendered.text.encode())
            each.span.attributes["headrace.execute_tool.injected"] = rendered.injected
            if each.result.passages is not None:
                each.span.attributes["headrace.execute_tool.passages"] = rendered.passages
            text = f"Error: {rendered.text}" if each.result.is_error else rendered.text
            message = Message(role="tool", content=text, tool_call_id=each.call.id)
            for step in self._steps:
                message = await step.prepare_result(turn, message)
            added.append(message)
            if turn.observe is not None:
                turn.observe(each.span)
        if is_last:
            added[-1] = added[-1].map_text(lambda text: text + _LAST)
        added = await self._fitted(added)
        self._findings += turn.findings[before:]
        turn.messages = [*turn.messages, *added]
        turn.consulted += added

    async def _fitted(self, added: list[Message]) -> list[Message]:
        """The round with its longest results cut until the whole fits into the model's context."""
        context = self._target.context_tokens
        asked = self._turn.params.max_tokens or _ANSWER_TOKENS
        budget = context - min(asked, context // 2)
        for _ in range(_MOST_CUTS):
            prompt = [*self._turn.messages, *added]
            bound = self._target.token_upper_bound(prompt)
            if bound is not None and bound <= budget:
                break
            if await self._target.count_tokens(prompt) <= budget:
                break
            at = max(range(len(added)), key=lambda i: len(added[i].text()))
            text = added[at].text()
            if len(text) <= _SHORTEST_RESULT:
                break  # It is not the results: the model's own server says so.
            added[at] = msgspec.structs.replace(
                added[at], content=f"{text[: len(text) // 2]}\n[… cut to fit the context]"
            )
        return added

    def _summarise(self, span: Span) -> None:
        span.attributes["headrace.tools.rounds"] = self._rounds
        span.attributes["headrace.tools.calls"] = self._calls
        if self._ended:
            span.attributes["headrace.tools.ended"] = self._ended


def _check(turn: Turn, functions: Mapping[str, Function]) -> None:
    if (turn.params.n or 1) > 1:
        raise InvalidRequest(
            "several choices cannot be had where the service runs tools",
            hint="leave `n` out, or ask for a template without tools",
            param="n",
        )
    for at, tool in enumerate(turn.params.tools or ()):
        function = tool.get("function")
        name = function.get("name") if isinstance(function, dict) else None
        if name in functions:
            raise InvalidRequest(
                f"the service has a tool named {name!r} of its own",
                hint="give yours another name",
                param=f"tools[{at}].function.name",
            )


def _describe(span: Span, turn: Turn, number: int) -> None:
    span.attributes["headrace.round.number"] = number
    span.attributes["gen_ai.usage.input_tokens"] = turn.usage.prompt_tokens
    span.attributes["gen_ai.usage.output_tokens"] = turn.usage.completion_tokens


def _words(turn: Turn) -> str:
    return _UNFINISHED["zh" if turn.language == "zh" else "en"]
