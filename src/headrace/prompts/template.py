"""A prompt template, ready to use: compiled when the service loads, rendered in microseconds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import msgspec

from headrace.errors import InvalidRequest
from headrace.prompts.example import Examples
from headrace.prompts.file import ExampleEntry, ExamplesSpec, PromptFile
from headrace.prompts.longer import MapReduce
from headrace.prompts.reasoning import Reasoning
from headrace.prompts.text import Localized, Text, TextError
from headrace.prompts.variable import Value, Variables
from headrace.types import Message, Params, Part

__all__ = ["PromptTemplate", "Rendered", "apart"]


def apart(messages: Sequence[Message]) -> tuple[Sequence[Message], Sequence[Message]]:
    """The system messages in front, and the conversation behind them."""
    count = 0
    while count < len(messages) and messages[count].role in ("system", "developer"):
        count += 1
    return messages[:count], messages[count:]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A template's words for one turn."""

    language: str
    """Which text was chosen: a language, or `default`."""
    system: str
    """The system prompt; empty for none."""
    examples: Sequence[Message]
    wrap: Callable[[str], str] | None
    """Puts the template's words around what a user wrote; None leaves it as it is."""

    def around(self, messages: Sequence[Message]) -> list[Message]:
        """The conversation with these words: system prompt, examples, then the messages.

        System messages that the client put first are joined to the system prompt, behind it:
        many chat templates take one system message only, and only in front.
        """
        own, rest = apart(messages)
        if self.wrap is not None:
            rest = [_wrapped(each, self.wrap) if each.role == "user" else each for each in rest]
        if not self.system:
            return [*own, *self.examples, *rest]
        return [Message(role="system", content=self._joined(own)), *self.examples, *rest]

    def _joined(self, own: Sequence[Message]) -> str | list[Part]:
        parts = [part for each in own for part in _parts(each)]
        if any(part.keys() - {"type", "text"} for part in parts):
            # They say more than words, as where a provider's cache may end.
            return [{"type": "text", "text": self.system}, *parts]
        texts = (self.system, *(each.text() for each in own))
        return "\n\n".join(filter(None, texts))


def _parts(message: Message) -> list[Part]:
    if isinstance(message.content, list):
        return message.content
    return [{"type": "text", "text": message.content}] if message.content else []


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptTemplate:
    """One version of a template. Immutable; an edited file makes a new one."""

    name: str
    digest: str
    """SHA-256 over the file's meaning (comments and order of fields do not count), `sha256:…`."""
    file: PromptFile
    variables: Variables
    system: Localized | None
    user: Localized | None
    examples: Examples
    reasoning: Reasoning | None
    params: Params
    """Inference parameters, with `output` as their response format."""
    map_reduce: MapReduce | None = None
    """How an input longer than the context comes in parts."""

    @property
    def description(self) -> str:
        return self.file.description

    @property
    def version(self) -> str:
        """`name@` and twelve digits of the digest."""
        return f"{self.name}@{self.digest.removeprefix('sha256:')[:12]}"

    def for_parts(self) -> "PromptTemplate":
        """What answers one part of a longer input: the same system prompt, other words around it.

        Without examples, tools, output schema and chain of thought, which are for the whole.
        """
        longer = self.map_reduce
        assert longer is not None
        params = msgspec.structs.replace(
            self.params, response_format=None, max_tokens=longer.spec.answer_tokens
        )
        return replace(
            self,
            file=msgspec.structs.replace(self.file, tools=[]),
            user=longer.part,
            examples=Examples((), ExamplesSpec()),
            reasoning=None,
            params=params,
            map_reduce=None,
        )

    def render(
        self,
        values: Mapping[str, Value],
        *,
        language: str | None,
        today: str,
        thinking: bool = True,
        examples: Sequence[ExampleEntry] | None = None,
    ) -> Rendered:
        """The words for one turn.

        Args:
            values: one for each variable, from `variables.fill`.
            language: the user's (ISO 639-1); None for unknown.
            today: the date as YYYY-MM-DD.
            thinking: False leaves the chain of thought out, for turns that cannot have one.
            examples: those of this turn; None takes the first of the language.

        Raises:
            InvalidRequest: the texts cannot be rendered with these values.
        """
        words = {**values, "language": language or "", "today": today}
        try:
            key, system = "default", ""
            if self.system is not None:
                key, text = self.system.choose(language)
                system = text.render(words)
            marker = None
            if thinking and self.reasoning is not None:
                marker = self.reasoning.marker(language)
                asked = self.reasoning.instruction.choose(language)[1]
                system = f"{system}\n\n{asked.render({**words, 'marker': marker})}".strip()
            wrap = None
            if self.user is not None:
                wrap = _Wrap(self.name, self.user.choose(language)[1], words)
            if examples is None:
                examples = self.examples.choose(language)
            return Rendered(key, system, self._shown(examples, marker, wrap), wrap)
        except TextError as error:
            raise _cannot_render(self.name, error) from error

    def _shown(
        self,
        examples: Sequence[ExampleEntry],
        marker: str | None,
        wrap: Callable[[str], str] | None,
    ) -> list[Message]:
        messages: list[Message] = []
        for entry in examples:
            user, assistant = self.examples.messages(entry, marker)
            messages += (user if wrap is None else user.map_text(wrap), assistant)
        return messages


@dataclass(frozen=True, slots=True)
class _Wrap:
    """The template's words around what a user wrote."""

    name: str
    text: Text
    words: Mapping[str, object]

    def __call__(self, written: str) -> str:
        try:
            return self.text.render({**self.words, "input": written})
        except TextError as error:
            raise _cannot_render(self.name, error) from error


def _cannot_render(name: str, error: TextError) -> InvalidRequest:
    return InvalidRequest(
        f"the template {name!r} cannot be rendered with these variables: {error}",
        param="variables",
    )


def _wrapped(message: Message, wrap: Callable[[str], str]) -> Message:
    """The message with the words around all its text; images and the like stay behind it."""
    if not isinstance(message.content, list):
        return message.map_text(wrap)
    text: Part = {"type": "text", "text": wrap(message.text())}
    others = [part for part in message.content if not isinstance(part.get("text"), str)]
    return msgspec.structs.replace(message, content=[text, *others])
