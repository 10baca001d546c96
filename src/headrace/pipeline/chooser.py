"""The choice of a template for requests that name none: rules, then the classifier, then a default."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from headrace.errors import HeadraceError, InvalidRequest, did_you_mean
from headrace.models.box import ModelBox
from headrace.pipeline.conversation import ConversationStore
from headrace.pipeline.needs import missed_by
from headrace.pipeline.steps.normalize.language import identify
from headrace.pipeline.turn import Turn
from headrace.prompts.choice.gram import heart
from headrace.prompts.choice.rule import Asked, Rules
from headrace.prompts.choice.settings import ChooseSettings, ClassifierSettings
from headrace.prompts.file import VariableValue
from headrace.prompts.library import PromptLibrary
from headrace.prompts.template import PromptTemplate
from headrace.prompts.vector import Vectors

if TYPE_CHECKING:
    from headrace.prompts.choice.classifier import Classifier, Ranked

__all__ = ["Chooser", "Chosen", "questions_of"]

MOST_QUESTIONS = 2_000
"""Fitting takes half a second for so many, and the cube of that for more."""
_EARLIER = 2
"""Earlier messages of the user that are looked at when the last one is unclear ("shorter!")."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A template's name, and how it was come by."""

    name: str
    said: Mapping[str, object] = field(default_factory=dict)
    """For the trace: never a word of the message."""


class Chooser:
    """Chooses among the templates of one library."""

    def __init__(
        self,
        settings: ChooseSettings,
        default: str,
        variables: Mapping[str, VariableValue],
        prompts: PromptLibrary,
        models: ModelBox,
        vectors: Vectors | None,
        conversations: ConversationStore | None = None,
    ) -> None:
        """
        Args:
            conversations: where earlier messages are that the client does not send again.
            default: the template when nothing decides.
            variables: the service's values.
            vectors: None only where there is no classifier.

        Raises:
            InvalidRequest, NotFound: the settings name what is not there, or cannot be meant.
        """
        self._rules = Rules(settings.rules)
        for rule in settings.rules:
            prompts.get(rule.template)
        self._default = default
        self._variables = variables
        self._prompts = prompts
        self._models = models
        self._settings = settings.classifier
        self._questions: Mapping[str, Sequence[str]] = {}
        if self._settings is not None:
            self._questions = questions_of(prompts, self._settings)
        self._vectors = vectors
        self._conversations = conversations
        self._classifier: Classifier | None = None
        self._fitting = asyncio.Lock()

    def by_rule(self, turn: Turn) -> tuple[int, str] | None:
        """The first rule that holds, counted from 1, and its template."""
        last = turn.last_user_message
        text = last.text() if last is not None else ""
        parts = last.content if last is not None and isinstance(last.content, list) else []
        return self._rules.first(
            Asked(
                text=text,
                language=turn.language or identify(text),
                metadata=turn.metadata,
                variables=turn.variables,
                has_tools=bool(turn.params.tools),
                has_attachments=any(not isinstance(part.get("text"), str) for part in parts),
            )
        )

    async def choose(self, turn: Turn) -> Chosen:
        """The template for a turn that names none.

        Raises:
            ModelUnavailable, WeightsUnavailable: the embedding model cannot be asked.
            InvalidRequest, StateUnusable: as the conversation store says.
        """
        if (ruled := self.by_rule(turn)) is not None:
            return Chosen(ruled[1], {"chosen_by": "rule", "rule": ruled[0]})
        if self._settings is None:
            return Chosen(self._default, {"chosen_by": "default"})
        classifier = await self.fitted()
        among = [name for name in classifier.names if self._can_be(self._prompts.get(name), turn)]
        first: Ranked | None = None
        back = -1
        async for text in self._said(turn):
            back += 1
            ranked = await self._ranked(classifier, text, among)
            first = first or ranked
            if ranked is not None and ranked.confidence >= self._settings.threshold:
                said = {"chosen_by": "classifier", **_figures(ranked), "looked_back": back}
                return Chosen(ranked.name, said)
        said = {"chosen_by": "default"}
        return Chosen(self._default, said if first is None else {**said, **_figures(first)})

    async def fitted(self) -> "Classifier":
        """The classifier, fitted if it was not yet.

        Raises:
            ModelUnavailable, WeightsUnavailable: the embedding model cannot be asked.
        """
        from headrace.prompts.choice.classifier import Classifier

        async with self._fitting:
            if self._classifier is None:
                assert self._vectors is not None
                vectors = await self._vectors.of(self.questions())
                self._classifier = await asyncio.to_thread(Classifier.fit, self._questions, vectors)
            return self._classifier

    def questions(self) -> list[str]:
        """What the classifier learns from, in the order of its templates."""
        return [each for texts in self._questions.values() for each in texts]

    async def start(self) -> None:
        """Fit before the first request comes."""
        if self._settings is not None:
            await self.fitted()

    async def _ranked(
        self, classifier: "Classifier", text: str, among: Sequence[str]
    ) -> "Ranked | None":
        assert self._vectors is not None
        text = heart(text)
        return classifier.rank(text, await self._vectors.one(text), among) if text else None

    async def _said(self, turn: Turn) -> AsyncIterator[str]:
        """What the user wrote, the last message first; the conversation is asked only if needed."""
        texts = [each.text() for each in turn.messages if each.role == "user"]
        for text in texts[: -_EARLIER - 2 : -1]:
            yield text
        missing = _EARLIER + 1 - len(texts)
        if missing <= 0 or turn.conversation is None or self._conversations is None:
            return
        history = await self._conversations.history(turn.principal.key_id, turn.conversation)
        known = [
            m.text()
            for each in history.turns
            if each.is_usable
            for m in each.messages
            if m.role == "user"
        ]
        # A client that sends all of it again has said these already.
        for text in [each for each in reversed(known) if each not in texts][:missing]:
            yield text

    def _can_be(self, template: PromptTemplate, turn: Turn) -> bool:
        """Whether the turn's variables and model are right for a template."""
        try:
            template.variables.fill(turn.variables, self._variables)
            return not missed_by(self._models, turn.model, template.file.requires)
        except HeadraceError:
            return False


def questions_of(
    prompts: PromptLibrary, settings: ClassifierSettings
) -> dict[str, tuple[str, ...]]:
    """What the classifier learns from, by template.

    Raises:
        NotFound, InvalidRequest: a template is not there or tells too little; all tell too much.
    """
    found: dict[str, tuple[str, ...]] = {}
    for name in settings.among or prompts.names():
        template = prompts.get(name)
        texts = template.file.scenario.asks
        if not texts and settings.among:
            # Whoever names it wants it: its examples and tests are of what it is for.
            inline = [each.user for each in template.examples.entries[:50]]
            texts = [*filter(None, [template.description]), *inline]
            texts += [each.user for each in template.file.tests]
        if texts:
            found[name] = tuple(dict.fromkeys(filter(None, map(heart, texts))))
        elif settings.among:
            raise InvalidRequest(
                f"choose: nothing tells what the template {name!r} is for",
                hint="write what people ask it under `scenario.asks` in its file",
            )
    if len(found) < 2:
        raise InvalidRequest(
            "choose: a classifier needs two templates at least",
            hint=did_you_mean(next(iter(found), ""), prompts.names(), kind="templates"),
        )
    if sum(map(len, found.values())) > MOST_QUESTIONS:
        raise InvalidRequest(
            f"choose: the templates have more than {MOST_QUESTIONS} questions together",
            hint="name those to choose from under `among`, or shorten their `scenario.asks`",
        )
    return found


def _figures(ranked: "Ranked") -> dict[str, object]:
    return {
        "likeliest": ranked.name,
        "confidence": round(ranked.confidence, 4),
        "runner_up": ranked.runner_up,
        "runner_up_confidence": round(ranked.runner_up_confidence, 4),
    }
