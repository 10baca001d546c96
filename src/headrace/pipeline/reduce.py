"""Map-reduce: an input longer than the model's context, answered part by part, within bounds.

Each part is a turn of its own through the whole pipeline: screened, limited, traced and counted
like any other, in a trace of its own that the spans of the whole turn name. What the parts come to
takes the input's place; if that is still too long, it is cut again. A template's `map_reduce` says
how many parts there may be at most, and each round must come out shorter than the one before.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from headrace.errors import ContextTooLong, PolicyBlocked
from headrace.models.estimate import estimate_text_tokens, estimate_tokens
from headrace.pipeline.turn import Turn
from headrace.prompts.longer import cut
from headrace.prompts.template import PromptTemplate
from headrace.telemetry.trace import Span
from headrace.types import Deltas, Message, Params

__all__ = ["LANGUAGE", "Reduced", "Reduction", "overhead_tokens"]

LANGUAGE = "template.language"
"""Where a part's state says in which language the whole is."""
_MARGIN_TOKENS = 48
"""Room for what a chat template adds around a part."""
_SHORTEST_PART = 64
_SHRINKS = 0.9
"""A round whose answers come to more than this share of its input leads nowhere."""

Answer = Callable[[Turn], Deltas]


@dataclass(frozen=True, slots=True)
class Reduced:
    """What an input came to."""

    text: str
    parts: int
    rounds: int


class Reduction:
    """One turn's map-reduce."""

    def __init__(
        self, turn: Turn, template: PromptTemplate, language: str | None, answer: Answer
    ) -> None:
        assert template.map_reduce is not None
        self._turn = turn
        self._whole = template
        self._part = template.for_parts()
        self._spec = template.map_reduce.spec
        self._language = language
        self._answer = answer
        self._asked = 0
        self._slots = asyncio.Semaphore(self._spec.at_once)

    async def run(
        self,
        text: str,
        *,
        context_tokens: int,
        overhead_tokens: int,
        fits: Callable[[str], Awaitable[bool]],
    ) -> Reduced:
        """Rounds until what is left fits.

        Args:
            context_tokens: the model's.
            overhead_tokens: what the words around a part take.
            fits: whether a text may take the input's place.

        Raises:
            ContextTooLong: more parts than `max_parts`, or a round that shortens nothing.
            PolicyBlocked: a part may not be answered.
        """
        room = context_tokens - self._spec.answer_tokens - overhead_tokens - _MARGIN_TOKENS
        most = min(self._spec.part_tokens or room, room)
        if most < _SHORTEST_PART:
            raise self._too_long("the model's context leaves no room for a part")
        rounds = 0
        while True:
            rounds += 1
            parts = cut(text, most, estimate_text_tokens)
            if self._asked + len(parts) > self._spec.max_parts:
                raise self._too_long(
                    f"it comes in more than {self._spec.max_parts} parts (map_reduce.max_parts)"
                )
            answers = await self._all(parts, rounds)
            shorter = "\n\n".join(filter(None, answers))
            if shorter and await fits(shorter):
                return Reduced(shorter, self._asked, rounds)
            if not shorter or len(shorter) > _SHRINKS * len(text):
                raise self._too_long(f"round {rounds} did not make it shorter")
            text = shorter

    async def _all(self, parts: Sequence[str], number: int) -> list[str]:
        """The answers in order. When one fails, the others end too."""
        tasks = [
            asyncio.ensure_future(self._one(part, at, len(parts), number))
            for at, part in enumerate(parts, 1)
        ]
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _one(self, part: str, at: int, of: int, number: int) -> str:
        async with self._slots:
            trace = self._turn.trace
            span = Span(name="part", start_s=trace.elapsed_s(), parent=_parent(self._turn))
            span.attributes.update(
                {"headrace.part.number": at, "headrace.part.of": of, "headrace.part.round": number}
            )
            try:
                text, turn = await self._asked_for(part)
            finally:
                span.duration_s = trace.elapsed_s() - span.start_s
                trace.spans.append(span)
            span.attributes["headrace.part.trace"] = turn.id
            span.attributes["headrace.part.tokens"] = turn.usage.completion_tokens
            if self._turn.observe is not None:
                self._turn.observe(span)
            return text

    async def _asked_for(self, part: str) -> tuple[str, Turn]:
        """A part's answer; one that does not fit after all (an estimate is one) comes in halves."""
        self._asked += 1
        if self._asked > self._spec.max_parts:
            raise self._too_long(f"it comes in more than {self._spec.max_parts} parts")
        turn = self._turn_for(part)
        try:
            async with aclosing(self._answer(turn)) as deltas:
                async for _ in deltas:
                    pass
        except ContextTooLong:
            halves = cut(part, max(1, estimate_text_tokens(part) // 2 + 1), estimate_text_tokens)
            if len(halves) < 2 or estimate_text_tokens(part) < _SHORTEST_PART:
                raise
            said = [await self._asked_for(half) for half in halves]
            return "\n\n".join(text for text, _ in said), said[-1][1]
        if turn.blocked is not None:
            raise PolicyBlocked(turn.blocked)
        return turn.choices[0].text.strip() if turn.choices else "", turn

    def _turn_for(self, part: str) -> Turn:
        whole = self._turn
        turn = Turn(
            principal=whole.principal,
            messages=[Message(role="user", content=part)],
            params=Params(
                temperature=whole.params.temperature,
                seed=whole.params.seed,
                extra={k: v for k, v in whole.params.extra.items() if k == "service_tier"},
            ),
            model=whole.model,
            subject=whole.subject,
            prompt=self._part,
            variables=whole.variables,
            metadata={"purpose": "map_reduce", "of": whole.id},
            cache_control=whole.cache_control,
        )
        if self._language is not None:
            turn.state[LANGUAGE] = self._language
        return turn

    def _too_long(self, why: str) -> ContextTooLong:
        return ContextTooLong(
            f"the input is too long for the template {self._whole.name!r}: {why}",
            hint="send a shorter text, or use a model with a longer context",
            param="messages",
        )


def overhead_tokens(rendered: Sequence[Message]) -> int:
    """What the words around a part take, estimated rather too high."""
    return estimate_tokens(rendered)


def _parent(turn: Turn) -> int | None:
    """The span of the step `template`, under which parts stand."""
    names = [span.name for span in turn.trace.spans]
    return names.index("template") if "template" in names else None
