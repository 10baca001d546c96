"""Looking up passages for a turn and putting them in front of its question."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from headrace.access.principal import Principal
from headrace.knowledge.passage import Passage, Retriever
from headrace.models.box import ModelBox
from headrace.models.model import Target
from headrace.pipeline.steps.ground.fence import INSTRUCTIONS, fenced
from headrace.pipeline.steps.ground.injected import (
    KINDS,
    OnInjection,
    data_detectors,
    screen_passages,
)
from headrace.pipeline.steps.ground.known import FACTS, Knower
from headrace.pipeline.steps.ground.query import is_small_talk, query_of
from headrace.pipeline.turn import Turn
from headrace.telemetry.trace import Span
from headrace.types import Message

__all__ = ["KnowledgeSettings", "Lookup", "roles_of"]

_SHARE = 4
"""Passages may take one part in this many of the model's context, unless the settings say more."""


class KnowledgeSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `ground` looks up in the knowledge base (`ground.knowledge`)."""

    passages: Annotated[int, Meta(ge=1, le=50)] = 5
    """Most passages that come along."""
    budget_tokens: Annotated[int, Meta(ge=32)] | None = None
    """Most tokens that they take together; absent: a quarter of the model's context."""
    min_score: Annotated[float, Meta(ge=0, le=1)] = 0.0
    """Passages with a lower score are left out."""
    entities: bool = True
    """Whether what the service's glossary knows of names in the question comes along, and dates."""
    entity_tokens: Annotated[int, Meta(ge=16)] = 256
    """Most tokens that what is known of names and dates takes; lines that exceed them stay out."""
    timezone: str = "UTC"
    """Where "next Friday" is meant, unless the request says (`metadata.timezone` or the header
    `x-headrace-timezone`)."""
    filters: dict[str, str] = {}
    """Metadata that a document must have, such as `{product: mill}`."""
    when: Literal["auto", "always"] = "auto"
    """`auto`: nothing is looked up for greetings and thanks."""
    instructions: str | None = None
    """What is said in front of the passages; absent: built-in words, in English or Chinese."""
    on_injection: OnInjection = "drop"
    """What happens to a passage that holds commands: left out, without those sentences, or noted."""
    injection_score: Annotated[float, Meta(ge=0, le=1)] = 0.6
    """Score of the injection detector from which on that happens."""


def roles_of(principal: Principal) -> frozenset[str]:
    """As whom a principal may read documents: by its role, and by its team."""
    roles = {principal.role, *((f"team:{principal.team}",) if principal.team else ())}
    return frozenset(roles)


class Lookup:
    """Finds passages, screens them, fits them into their budget, and puts them in place."""

    def __init__(
        self,
        settings: KnowledgeSettings,
        knowledge: Retriever | None,
        models: ModelBox,
        knower: Knower | None = None,
    ) -> None:
        """
        Args:
            knowledge: None: the service has a glossary only.
            knower: knows names; None: the service has no glossary.
        """
        self._settings = settings
        self._knower = knower if settings.entities else None
        self._knowledge = knowledge
        self._models = models
        self._detectors = data_detectors()

    def digest_inputs(self) -> Mapping[str, object]:
        """What decides, apart from the settings."""
        version = self._knowledge.version if self._knowledge is not None else None
        return {"knowledge": version, "instructions": INSTRUCTIONS}

    async def ground(self, turn: Turn, previous: str) -> None:
        """Put passages in front of the turn's last message, if it is a user's.

        Args:
            previous: the user's question before this one; empty for none.
        """
        settings = self._settings
        asked = turn.messages[-1] if turn.messages else None
        if asked is None or asked.role != "user":
            return
        # As it was sent: a template may have put words around it.
        text = turn.question
        if not text.strip() or (settings.when == "auto" and is_small_talk(text)):
            return
        query = query_of(text, previous)
        parent = len(turn.trace.spans) - 1
        with turn.trace.span("retrieve") as span:
            span.parent = parent if parent >= 0 else None
            found = await self._search(turn, query)
            good = [each for each in found if each.score >= settings.min_score]
            screened = screen_passages(
                good,
                self._detectors,
                settings.on_injection,
                settings.injection_score,
                len(turn.messages) - 1,
            )
            turn.findings += screened.findings
            turn.state[FACTS] = await self._known(turn, previous, span)
            passages, message = await self._fitted(turn, asked, screened.passages)
            self._describe(span, passages, found=len(found), follow_up=query != text.strip())
            span.attributes["headrace.retrieve.injected"] = len(good) - len(screened.passages)
        if self._knowledge is not None:
            turn.passages = tuple(passages)
        turn.messages = [*turn.messages[:-1], message]
        turn.state["ground"] = {"passages": len(passages), "found": len(found)}

    async def _search(self, turn: Turn, query: str) -> Sequence[Passage]:
        if self._knowledge is None:
            return ()
        return await self._knowledge.search(
            query,
            limit=self._settings.passages,
            roles=roles_of(turn.principal),
            filters=self._settings.filters or None,
        )

    async def _known(self, turn: Turn, previous: str, span: Span) -> list[str]:
        """A line for each name and date of the question, as many as there is room for."""
        if self._knower is None:
            return []
        known = self._knower.of(turn, previous, roles_of(turn.principal))
        span.attributes.update(known.attributes)
        # A document's title is somebody's words, too.
        kept = [line for line in known.facts if not self._commands(line)]
        model = self._models.get(turn.model)
        while kept and not await _fits(
            [Message(role="user", content="\n".join(kept))], self._settings.entity_tokens, model
        ):
            kept.pop()
        return kept

    def _commands(self, line: str) -> bool:
        least = self._settings.injection_score
        return any(
            each.kind in KINDS and each.score >= least
            for detector in self._detectors
            for each in detector.detect(line)
        )

    async def _fitted(
        self, turn: Turn, asked: Message, passages: Sequence[Passage]
    ) -> tuple[Sequence[Passage], Message]:
        """As many of the best passages as there is room for, and the message with them."""
        model = self._models.get(turn.model)
        context = model.context_tokens
        budget = self._settings.budget_tokens or context // _SHARE
        while passages:
            message = self._message(turn, asked, passages)
            alone = Message(role="user", content=self._words(turn, passages))
            prompt = [*turn.messages[:-1], message]
            if not await _fits([alone], budget, model):
                passages = passages[:-1]
            elif await _fits(prompt, context - 1, model):
                return passages, message
            else:
                passages = passages[: len(passages) // 2]
        if turn.state.get(FACTS):
            message = self._message(turn, asked, ())
            if await _fits([*turn.messages[:-1], message], context - 1, model):
                return (), message
            turn.state[FACTS] = []
        return (), asked

    def _words(self, turn: Turn, passages: Sequence[Passage]) -> str:
        facts = turn.state.get(FACTS)
        return fenced(
            passages,
            turn.question,
            turn.language,
            instructions=self._settings.instructions,
            facts=facts if isinstance(facts, list) else (),
        )

    def _message(self, turn: Turn, asked: Message, passages: Sequence[Passage]) -> Message:
        words = self._words(turn, passages)
        if isinstance(asked.content, str):
            return msgspec.structs.replace(asked, content=f"{words}\n\n{asked.content}")
        parts = [{"type": "text", "text": words}, *(asked.content or ())]
        return msgspec.structs.replace(asked, content=parts)

    def _describe(
        self, span: Span, passages: Sequence[Passage], *, found: int, follow_up: bool
    ) -> None:
        """What was found, by its addresses; never the words."""
        if self._knowledge is None:
            return
        span.attributes.update(
            {
                "gen_ai.data_source.id": self._knowledge.version,
                "headrace.retrieve.found": found,
                "headrace.retrieve.follow_up": follow_up,
                "headrace.retrieve.passages": [each.id for each in passages],
                "headrace.retrieve.scores": [f"{each.score:.3f}" for each in passages],
                "headrace.retrieve.spans": [
                    f"{each.uri}:{each.start}-{each.end}" for each in passages
                ],
            }
        )


async def _fits(messages: Sequence[Message], budget: int, model: Target) -> bool:
    bound = model.token_upper_bound(messages)
    if bound is not None and bound <= budget:
        return True
    return await model.count_tokens(messages) <= budget
