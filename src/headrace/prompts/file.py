"""The format of a prompt template: `prompts/NAME.yaml`, as users write it.

Every field may be left out. New fields may come; these keep their meaning, and a file that uses
none of the new ones keeps its digest.
"""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from headrace.config.model import ParamsConfig

__all__ = [
    "ExampleEntry",
    "Expectation",
    "LocalizedText",
    "MessageTexts",
    "OutputSpec",
    "PromptFile",
    "PromptTest",
    "ReasoningForm",
    "ReasoningSpec",
    "Requirements",
    "Scenario",
    "VariableSpec",
    "VariableType",
    "VariableValue",
]

VariableType: TypeAlias = Literal["string", "integer", "number", "boolean", "enum", "list"]
"""`enum` is one of `choices`; `list` is a list of strings."""
VariableValue: TypeAlias = str | bool | int | float | list[str]
ReasoningForm: TypeAlias = Literal["none", "hidden", "shown"]
LocalizedText: TypeAlias = str | dict[str, str]
"""One text, or one per language (ISO 639-1): `{zh: …, en: …}`. Other languages get `default`, or
else `en`; one of the two must be there."""


class _Part(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True
):
    """Base of every part of the format: unknown fields are errors."""


class Scenario(_Part, frozen=True, kw_only=True):
    """What the template is for (`scenario:`). Read by people, later by the choice of templates."""

    task: str = ""
    """The task in a word or two: `chat`, `summarise`, `translate`, `extract`, …"""
    languages: list[str] = []
    """Languages it is written and tried for (ISO 639-1); empty: any."""
    audience: str = ""
    """Who reads the answers."""


class VariableSpec(_Part, frozen=True, kw_only=True):
    """A value that the texts may use (`variables.NAME`)."""

    type: VariableType = "string"
    """Its type; a request that sends another one is refused."""
    description: str = ""
    """What it is, for whoever fills it in."""
    default: VariableValue | None = None
    """The value when none is given."""
    required: bool | None = None
    """Whether a value must be given. Absent: required exactly when there is no default. A variable
    that is neither given nor required is false in conditions and prints as nothing."""
    choices: list[str] | None = None
    """The values of an `enum`; for a `list`, the values its items may have."""
    min: float | None = None
    """Least value of an `integer` or `number`."""
    max: float | None = None
    """Greatest value of an `integer` or `number`."""
    max_length: Annotated[int, Meta(ge=1, le=1_000_000)] = 20_000
    """Most characters of a `string`, and of each item of a `list`."""
    pattern: str | None = None
    """A regular expression (Python's) that a `string`, or each item of a `list`, matches whole."""
    min_items: Annotated[int, Meta(ge=0)] = 0
    """Fewest items of a `list`."""
    max_items: Annotated[int, Meta(ge=1, le=10_000)] = 100
    """Most items of a `list`."""


class MessageTexts(_Part, frozen=True, kw_only=True):
    """The words, in Jinja (`messages:`). Variables, `language` and `today` may be used."""

    system: LocalizedText | None = None
    """The system prompt; it comes first, before whatever system message the client sends."""
    user: LocalizedText | None = None
    """Put around every message of the user; `{{ input }}` is what the user wrote."""


class ExampleEntry(_Part, frozen=True, kw_only=True):
    """One few-shot example (`examples[]`): plain text, never Jinja."""

    user: str
    """What a user might write."""
    assistant: str
    """The answer to imitate; with `reasoning:`, the final answer only."""
    reasoning: str = ""
    """The thought that leads there, for templates whose `reasoning` is hidden or shown."""
    language: str | None = None
    """Use it for this language only (ISO 639-1); absent: for every language. A language that has
    none gets those of `default`, or else of `en`."""


class ReasoningSpec(_Part, frozen=True, kw_only=True):
    """The chain-of-thought form in full (`reasoning:`); a plain form is short for `{form: …}`."""

    form: ReasoningForm
    """`none`: answer at once. `hidden`: think first, and keep the thought apart from the answer.
    `shown`: think first, where the reader sees it."""
    marker: LocalizedText | None = None
    """What the model writes where its answer begins. Absent: `Final answer:`, in Chinese `最终答案：`.
    Ending in a colon it counts at the start of a line only, otherwise (`</think>`) anywhere."""
    instruction: LocalizedText | None = None
    """The words that ask for it, in Jinja, put at the end of the system prompt; `{{ marker }}` is
    the marker. Absent: Headrace's own, in English or Chinese."""


class OutputSpec(_Part, frozen=True, kw_only=True):
    """The form that answers must have (`output:`)."""

    schema: dict[str, object]
    """A JSON Schema; sent as `response_format`, so that the model can write nothing else."""


class Requirements(_Part, frozen=True, kw_only=True):
    """What a model must offer (`requires:`); a turn on a lesser model is refused."""

    context_tokens: Annotated[int, Meta(ge=1)] | None = None
    """Least context length, in tokens."""


class Expectation(_Part, frozen=True, kw_only=True):
    """What a test's answer must be like (`tests[].expect`); all that is said must hold."""

    contains: list[str] = []
    """Texts that the answer has, in any case."""
    excludes: list[str] = []
    """Texts that the answer does not have, in any case."""
    matches: str | None = None
    """A regular expression (Python's) found in the answer."""
    language: str | None = None
    """The answer's language (ISO 639-1)."""


class PromptTest(_Part, frozen=True, kw_only=True):
    """A test of the template (`tests[]`): an input, and what the answer must be like.

    Checked for sense and rendered when the service loads; nothing asks a model yet.
    """

    user: str
    """What the user writes."""
    name: str = ""
    """What it shows, as a sentence that could be false."""
    variables: dict[str, VariableValue] = {}
    """Values of the template's variables."""
    language: str | None = None
    """The user's language (ISO 639-1); absent: the template's default text."""
    expect: Expectation = Expectation()
    """What the answer must be like."""


class PromptFile(_Part, frozen=True, kw_only=True):
    """A prompt template (`prompts/NAME.yaml`). The file's name is the template's."""

    description: str = ""
    """What it is for, in a sentence."""
    scenario: Scenario = Scenario()
    """Task, languages and audience."""
    variables: dict[str, VariableSpec] = {}
    """The values that its texts may use, by name."""
    messages: MessageTexts = MessageTexts()
    """The words, in Jinja."""
    examples: list[ExampleEntry] = []
    """Few-shot examples, sent as real messages between the system prompt and the conversation."""
    reasoning: ReasoningForm | ReasoningSpec = "none"
    """Whether the model thinks before it answers, and who sees the thought."""
    output: OutputSpec | None = None
    """The form that answers must have."""
    params: ParamsConfig = ParamsConfig()
    """Inference parameters: under those of the request, over those of the model."""
    requires: Requirements = Requirements()
    """What a model must offer."""
    tests: list[PromptTest] = []
    """Inputs with what their answers must be like."""
