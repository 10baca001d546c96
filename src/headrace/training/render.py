"""From examples to tokens, and which of them are learned: the answers, and nothing else.

What stands before an answer is what the service would send to the model for these messages; so
what is trained is exactly what is asked for later. Answers of one conversation share a sequence
where the chat template writes the earlier turns alike when later ones follow; where it does not
(templates that drop old chains of thought) each gets a sequence of its own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from headrace.datasets.example import Example
from headrace.prompts.template import PromptTemplate
from headrace.training.tongue import Tongue
from headrace.types import Message

__all__ = ["Pair", "Tokens", "Words", "render_pair", "render_supervised", "words_of"]

Words = Callable[[Sequence[Message], str | None], Sequence[Message]]
"""Puts a prompt template's words around messages, in a language."""


@dataclass(slots=True)
class Tokens:
    """One sequence."""

    where: str
    """FILE:LINE of its example, for people."""
    ids: list[int]
    spans: list[tuple[int, int]] = field(default_factory=list)
    """Positions (from, up to) of what is learned."""

    @property
    def learned(self) -> int:
        """How many tokens are learned."""
        return sum(end - start for start, end in self.spans)


@dataclass(slots=True)
class Pair:
    """Two answers to one question."""

    where: str
    chosen: Tokens
    rejected: Tokens


def words_of(
    template: PromptTemplate | None, variables: dict[str, str | int | float | bool], today: str
) -> Words:
    """What puts the template's words around messages.

    Raises:
        InvalidRequest: a variable is unknown, missing or of another type.
    """
    if template is None:
        return lambda messages, language: messages
    values = template.variables.fill(variables, {})

    def around(messages: Sequence[Message], language: str | None) -> Sequence[Message]:
        # Without the chain of thought: it is not in the answers that are to be learned.
        rendered = template.render(values, language=language, today=today, thinking=False)
        return rendered.around(messages)

    return around


async def render_supervised(
    example: Example, where: str, tongue: Tongue, words: Words
) -> list[Tokens]:
    """The sequences of one example.

    Raises:
        TongueError: the chat template cannot write it.
    """
    language = _language(example)
    sequences: list[Tokens] = []
    for at, message in enumerate(example.messages):
        if message.role != "assistant" or at in example.untrained:
            continue
        before = words(example.messages[:at], language)
        prompt = await tongue.prompt(before, example.tools)
        answer = await tongue.answer(before, message)
        last = sequences[-1] if sequences else None
        if last is None or prompt[: len(last.ids)] != last.ids:
            last = Tokens(where, [])
            sequences.append(last)
        last.ids = [*prompt, *answer]
        last.spans.append((len(prompt), len(prompt) + len(answer)))
    return sequences


async def render_pair(example: Example, where: str, tongue: Tongue, words: Words) -> Pair:
    """Both answers of a preference, each behind what was asked.

    Raises:
        TongueError: the chat template cannot write it.
    """
    language = _language(example)
    sides: list[Tokens] = []
    for answers in (example.chosen, example.rejected):
        before = words([*example.messages, *answers[:-1]], language)
        prompt = await tongue.prompt(before, example.tools)
        answer = await tongue.answer(before, answers[-1])
        span = (len(prompt), len(prompt) + len(answer))
        sides.append(Tokens(where, [*prompt, *answer], [span]))
    return Pair(where, *sides)


def _language(example: Example) -> str | None:
    """The user's language, where whoever made the example noted it."""
    language = example.metadata.get("language")
    return language if isinstance(language, str) and language else None
