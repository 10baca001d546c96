"""The step `template`: puts a prompt template's words around the conversation.

The template is the one the request names, else the service's. Its words are the same from turn
to turn as long as its variables and the user's language are, so the model's prefix cache holds.
A bare completion gets no words.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Self

import msgspec

from headrace.errors import ContextTooLong, InvalidRequest, NotFound
from headrace.models.box import ModelBox
from headrace.models.embedder import ModelEmbedder
from headrace.pipeline.chooser import Chooser
from headrace.pipeline.conversation import ConversationStore
from headrace.pipeline.needs import fitting, missed_by
from headrace.pipeline.reduce import LANGUAGE, Reduction, overhead_tokens
from headrace.pipeline.step import BuildContext, Settings, Step
from headrace.pipeline.steps.normalize.language import identify
from headrace.pipeline.steps.template_check import check_requirements, check_tools, check_variables
from headrace.pipeline.turn import Turn
from headrace.prompts.choice.gram import heart
from headrace.prompts.choice.settings import ChooseSettings
from headrace.prompts.file import ExampleEntry, Requirements, VariableValue
from headrace.prompts.library import PromptLibrary
from headrace.prompts.template import PromptTemplate, Rendered, apart
from headrace.prompts.thought import Outcome, keep_apart
from headrace.prompts.vector import Vectors
from headrace.types import Deltas, Message

__all__ = ["TemplateSettings", "TemplateStep"]

Clock = Callable[[], datetime]
_USED = "template.used"
"""Where a turn's state holds the version that it was prepared with."""
_ANSWER_TOKENS = 512
"""Room for the answer when neither request, template nor model says how long it may be."""
_MOST_BYTES = 16
"""Bytes that a token has at most, on the average of a longer text."""
_EARLIER = 3
"""Earlier messages of the user that are looked at when the last one's language is unsure."""


def _now() -> datetime:
    return datetime.now(UTC)


class TemplateSettings(Settings, frozen=True, kw_only=True):
    """Settings of `template`."""

    name: str = "assistant"
    """The prompt template for requests that name none."""
    variables: dict[str, VariableValue] = msgspec.field(default_factory=dict)
    """Values for the templates' variables; a request's own win over these."""
    embedding: str = "embedding-multilingual"
    """The embedding model for the choice of templates, and of examples that are `nearest`."""
    choose: ChooseSettings | None = None
    """How a template is chosen for requests that name none; absent: it is always `name`."""


class TemplateStep(Step[TemplateSettings]):
    """Applies one prompt template to a turn."""

    name = "template"
    Settings = TemplateSettings

    def __init__(
        self,
        settings: TemplateSettings,
        prompts: PromptLibrary,
        models: ModelBox,
        *,
        vectors: Vectors | None = None,
        conversations: ConversationStore | None = None,
        clock: Clock = _now,
    ) -> None:
        """
        Args:
            vectors: of texts; None: nothing is compared by meaning.
            conversations: where the choice looks when a message alone says too little.
        """
        super().__init__(settings)
        self._vectors = vectors
        self._chooser = (
            Chooser(
                settings.choose,
                settings.name,
                settings.variables,
                prompts,
                models,
                vectors,
                conversations,
            )
            if settings.choose is not None
            else None
        )
        self._prompts = prompts
        self._models = models
        self._clock = clock
        self._answer: Callable[[Turn], Deltas] | None = None

    @classmethod
    def build(cls, settings: TemplateSettings, context: BuildContext) -> Self:
        """Raises NotFound for a template, InvalidRequest for a variable that cannot be."""
        context.prompts.get(settings.name)
        check_variables(settings.variables, settings.name, context.prompts)
        check_requirements(context.prompts, context.models)
        check_tools(context.prompts, context.toolbox.names if context.toolbox is not None else ())
        vectors = None
        if _compares(settings, context.prompts):
            vectors = Vectors(ModelEmbedder(context.models.get(settings.embedding)))
        return cls(
            settings,
            context.prompts,
            context.models,
            vectors=vectors,
            conversations=context.conversations,
        )

    async def start(self, home: Path) -> None:
        """Have the vectors ready that requests will be compared with."""
        if self._vectors is None:
            return
        texts = [
            each.user
            for template in self._prompts.templates()
            if template.examples.spec.choose == "nearest"
            for each in template.examples.entries
        ]
        if self._chooser is not None:
            texts += self._chooser.questions()
        await self._vectors.ready(texts, home / "vectors")
        if self._chooser is not None:
            await self._chooser.start()

    def digest_inputs(self) -> object:
        return {"templates": self._prompts.digests()}

    def compiled(self, answer: Callable[[Turn], Deltas]) -> None:
        self._answer = answer

    def model_for(self, turn: Turn, default: str) -> str | None:
        """The first model that meets what the template requires, if the default one does not."""
        if turn.kind == "completion":
            return None
        try:
            template = self._template(turn, self._ruled(turn))
        except NotFound:
            return None  # said by `prepare`, in a span of this step
        needs = template.file.requires
        if needs == Requirements():
            return None
        names = [default, *self._models.names()]
        return next((name for name in names if not missed_by(self._models, name, needs)), None)

    async def prepare(self, turn: Turn) -> None:
        """Put the words in place.

        Raises:
            NotFound: no template has the name that the request gives.
            InvalidRequest: a variable is unknown, missing or wrong, or the model too small.
            ContextTooLong: the examples alone exceed the context, or parts come to no end.
        """
        if turn.kind == "completion":
            return
        choice: dict[str, object] = {}
        name = self.settings.name
        if self._chooser is not None and turn.prompt is None and turn.template is None:
            chosen = await self._chooser.choose(turn)
            name, choice = chosen.name, dict(chosen.said)
        template = self._template(turn, name)
        self._check_model(template, turn)
        values = template.variables.fill(turn.variables, self.settings.variables)
        thinking = template.reasoning is not None and not _wants_json(turn)
        language = _language(turn)
        near = await self._nearest(template, turn, language)
        rendered = template.render(
            values,
            language=language,
            today=self._clock().date().isoformat(),
            thinking=thinking,
            examples=near,
        )
        self._check_examples(template, rendered, turn)
        _, conversation = apart(turn.messages)
        form = template.reasoning.form if template.reasoning is not None and thinking else "none"
        turn.template_params = template.params
        if turn.tools is None:
            turn.tools, turn.max_rounds = template.file.tools, template.file.max_rounds
        turn.trace.template = template.version
        turn.state[_USED] = template
        said: dict[str, object] = {
            "name": template.name,
            "digest": template.digest,
            "language": rendered.language,
            "variables": len(turn.variables),
            "examples": len(rendered.examples) // 2,
            "reasoning": form,
            **({} if near is None else {"examples_by": "nearest"}),
            **choice,
        }
        turn.state[self.name] = said
        if template.map_reduce is not None:
            said |= await self._shortened(turn, template, rendered, language)
        turn.messages = rendered.around(turn.messages)
        # Where the conversation begins: earlier turns belong there.
        said["ahead"] = len(turn.messages) - len(conversation)

    def transform(self, turn: Turn, deltas: Deltas) -> Deltas:
        """Keep a hidden thought apart from the answer; other answers pass at no cost."""
        said = turn.state.get(self.name)
        template = turn.state.get(_USED)
        if not isinstance(said, dict) or not isinstance(template, PromptTemplate):
            return deltas
        if said["reasoning"] != "hidden":
            return deltas
        assert template.reasoning is not None
        return keep_apart(deltas, template.reasoning.watched, ended=partial(_note, turn))

    def _template(self, turn: Turn, otherwise: str) -> PromptTemplate:
        return turn.prompt or self._prompts.get(turn.template or otherwise)

    def _ruled(self, turn: Turn) -> str:
        """The template by rule alone: what a classifier chooses is held to the model instead."""
        ruled = self._chooser.by_rule(turn) if self._chooser is not None else None
        return self.settings.name if ruled is None else ruled[1]

    async def _nearest(
        self, template: PromptTemplate, turn: Turn, language: str | None
    ) -> Sequence[ExampleEntry] | None:
        """The examples most like the message; None where the template takes the first."""
        examples = template.examples
        if examples.spec.choose != "nearest" or self._vectors is None or not examples.entries:
            return None
        last = turn.last_user_message
        text = heart(last.text()) if last is not None else ""
        if not text:
            return None
        from headrace.prompts.nearest import nearest

        vectors = await self._vectors.of([each.user for each in examples.entries])
        return nearest(examples, language, await self._vectors.one(text), vectors)

    def _check_model(self, template: PromptTemplate, turn: Turn) -> None:
        needs = template.file.requires
        if needs == Requirements():
            return
        target = self._models.get(turn.model)
        if missed := missed_by(self._models, target.name, needs):
            raise InvalidRequest(
                f"the template {template.name!r} {_reasons(missed, target.name)}",
                hint="ask for a model that has it, or for another template",
                param="model",
            )
        turn.only = fitting(self._models, target.name, needs)

    def _check_examples(self, template: PromptTemplate, rendered: Rendered, turn: Turn) -> None:
        """Examples that leave no room for a question are the template's fault: say so."""
        if not rendered.examples:
            return
        model = self._models.get(turn.model)
        least = sum(len(each.text().encode()) for each in rendered.examples) // _MOST_BYTES
        if least >= model.context_tokens:
            raise ContextTooLong(
                f"the examples of the template {template.name!r} take more than {least} tokens; "
                f"the model {model.name!r} has a context of {model.context_tokens}",
                hint="set `examples.max_tokens` or `examples.most` in the template",
                param="template",
            )

    async def _shortened(
        self, turn: Turn, template: PromptTemplate, rendered: Rendered, language: str | None
    ) -> dict[str, object]:
        """Replace a last message that does not fit by what its parts come to; says how."""
        at = next((i for i, m in enumerate(turn.messages) if m is turn.last_user_message), None)
        if at is None or self._answer is None:
            return {}
        model = self._models.get(turn.model)
        asked = turn.params.max_tokens or template.params.max_tokens or model.params.max_tokens
        budget = model.context_tokens - min(asked or _ANSWER_TOKENS, model.context_tokens // 2)

        async def fits(text: str) -> bool:
            prompt = rendered.around(_with_text(turn.messages, at, text))
            bound = model.token_upper_bound(prompt)
            if bound is not None and bound <= budget:
                return True
            return await model.count_tokens(prompt) <= budget

        text = turn.messages[at].text()
        if await fits(text):
            return {}
        part = template.for_parts().render(
            template.variables.fill(turn.variables, self.settings.variables),
            language=language,
            today=self._clock().date().isoformat(),
        )
        around = part.around([Message(role="user", content="")])
        reduction = Reduction(turn, template, language, self._answer)
        reduced = await reduction.run(
            text,
            context_tokens=model.context_tokens,
            overhead_tokens=overhead_tokens(around),
            fits=fits,
        )
        turn.messages = _with_text(turn.messages, at, reduced.text)
        return {"parts": reduced.parts, "rounds": reduced.rounds}


def _compares(settings: TemplateSettings, prompts: PromptLibrary) -> bool:
    """Whether anything is compared by meaning, so that an embedding model is needed."""
    chooses = settings.choose is not None and settings.choose.classifier is not None
    return chooses or any(t.examples.spec.choose == "nearest" for t in prompts.templates())


def _with_text(messages: Sequence[Message], at: int, text: str) -> list[Message]:
    changed = msgspec.structs.replace(messages[at], content=text)
    return [*messages[:at], changed, *messages[at + 1 :]]


def _reasons(missed: Sequence[str], model: str) -> str:
    first = missed[0]
    if first.startswith("needs "):
        return first
    return f"cannot be used with the model {model!r}: {', '.join(missed)}"


def _note(turn: Turn, index: int, outcome: Outcome) -> None:
    """Say on the step's span how the answer was told from the thought (of the first choice)."""
    if index:
        return
    for span in turn.trace.spans:
        if span.name == TemplateStep.name:
            span.attributes["headrace.template.answer"] = outcome


def _wants_json(turn: Turn) -> bool:
    """Whether the request asks for JSON, in which there is no room for a thought."""
    wanted = turn.params.response_format
    return wanted is not None and wanted.get("type") != "text"


def _language(turn: Turn) -> str | None:
    """The user's language; of a part, that of the whole."""
    whole = turn.state.get(LANGUAGE)
    return whole if isinstance(whole, str) else turn.language or _earlier_language(turn)


def _earlier_language(turn: Turn) -> str | None:
    """The language of the user's messages before the last one ("ok" is in no language)."""
    texts = [each.text() for each in turn.messages if each.role == "user"]
    for text in reversed(texts[-1 - _EARLIER : -1]):
        if language := identify(text):
            return language
    return None
