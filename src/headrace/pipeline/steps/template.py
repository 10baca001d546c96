"""The step `template`: puts a prompt template's words around the conversation.

The template is the one the request names, else the service's. Its words are the same from turn
to turn as long as its variables and the user's language are, so the model's prefix cache holds.
A bare completion gets no words.
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Self

import msgspec

from headrace.errors import InvalidRequest, did_you_mean
from headrace.models.box import ModelBox
from headrace.pipeline.step import BuildContext, Settings, Step
from headrace.pipeline.steps.normalize.language import identify
from headrace.pipeline.turn import Turn
from headrace.prompts.file import VariableValue
from headrace.prompts.library import PromptLibrary
from headrace.prompts.template import PromptTemplate, apart
from headrace.prompts.thought import Outcome, keep_apart
from headrace.types import Deltas

__all__ = ["TemplateSettings", "TemplateStep"]

Clock = Callable[[], datetime]
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
        clock: Clock = _now,
    ) -> None:
        super().__init__(settings)
        self._prompts = prompts
        self._models = models
        self._clock = clock

    @classmethod
    def build(cls, settings: TemplateSettings, context: BuildContext) -> Self:
        """Raises NotFound for a template, InvalidRequest for a variable that cannot be."""
        context.prompts.get(settings.name)
        _check_variables(settings, context.prompts)
        return cls(settings, context.prompts, context.models)

    def digest_inputs(self) -> object:
        return {"templates": self._prompts.digests()}

    async def prepare(self, turn: Turn) -> None:
        """Put the words in place.

        Raises:
            NotFound: no template has the name that the request gives.
            InvalidRequest: a variable is unknown, missing or wrong, or the model too small.
        """
        if turn.kind == "completion":
            return
        template = self._prompts.get(turn.template or self.settings.name)
        self._check_model(template, turn)
        values = template.variables.fill(turn.variables, self.settings.variables)
        thinking = template.reasoning is not None and not _wants_json(turn)
        language = turn.language or _earlier_language(turn)
        rendered = template.render(
            values,
            language=language,
            today=self._clock().date().isoformat(),
            thinking=thinking,
        )
        _, conversation = apart(turn.messages)
        turn.messages = rendered.around(turn.messages)
        turn.template_params = template.params
        turn.trace.template = template.version
        form = template.reasoning.form if template.reasoning is not None and thinking else "none"
        turn.state[self.name] = {
            "name": template.name,
            "digest": template.digest,
            "language": rendered.language,
            "variables": len(turn.variables),
            "examples": len(rendered.examples) // 2,
            "reasoning": form,
            # Where the conversation begins: earlier turns belong there.
            "ahead": len(turn.messages) - len(conversation),
        }

    def transform(self, turn: Turn, deltas: Deltas) -> Deltas:
        """Keep a hidden thought apart from the answer; other answers pass at no cost."""
        said = turn.state.get(self.name)
        if not isinstance(said, dict) or said["reasoning"] != "hidden":
            return deltas
        reasoning = self._prompts.get(str(said["name"])).reasoning
        assert reasoning is not None
        return keep_apart(deltas, reasoning.watched, ended=partial(_note, turn))

    def _check_model(self, template: PromptTemplate, turn: Turn) -> None:
        needed = template.file.requires.context_tokens
        if needed is None:
            return
        model = self._models.get(turn.model)
        if model.context_tokens < needed:
            raise InvalidRequest(
                f"the template {template.name!r} needs a context of {needed} tokens; "
                f"the model {model.name!r} has {model.context_tokens}",
                hint="ask for a model with a longer context, or for another template",
                param="model",
            )


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


def _earlier_language(turn: Turn) -> str | None:
    """The language of the user's messages before the last one ("ok" is in no language)."""
    texts = [each.text() for each in turn.messages if each.role == "user"]
    for text in reversed(texts[-1 - _EARLIER : -1]):
        if language := identify(text):
            return language
    return None


def _check_variables(settings: TemplateSettings, prompts: PromptLibrary) -> None:
    """Every value must be declared by some template, and be right for each that declares it."""
    templates = [prompts.get(name) for name in prompts.names()]
    for name, value in settings.variables.items():
        declared = [each for each in templates if name in each.variables.declared]
        if not declared:
            known = {name for each in templates for name in each.variables.declared}
            raise InvalidRequest(
                f"variables: no prompt template has a variable {name!r}",
                hint=did_you_mean(name, known, kind="variables"),
            )
        for template in declared:
            if wrong := template.variables.declared[name].problem(value):
                raise InvalidRequest(
                    f"variables: {name!r} {wrong}", hint=f"the template {template.name!r} uses it"
                )
