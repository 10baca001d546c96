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
    "ExamplesSpec",
    "Expectation",
    "LocalizedText",
    "MapReduceSpec",
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
    """What the template is for (`scenario:`). Read by people, and by the choice of templates."""

    task: str = ""
    """The task in a word or two: `chat`, `summarise`, `translate`, `extract`, …"""
    languages: list[str] = []
    """Languages it is written and tried for (ISO 639-1); empty: any."""
    audience: str = ""
    """Who reads the answers."""
    asks: Annotated[list[str], Meta(max_length=100)] = []
    """What people write who want this template, in every language; the choice learns from it."""


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


class MapReduceSpec(_Part, frozen=True, kw_only=True):
    """How an input that is longer than the model's context is answered (`map_reduce:`).

    It is cut into parts, the model answers each with the words of `part`, and those answers, in
    place of the input, are what the template's own words then stand around.
    """

    part: LocalizedText
    """The words around one part of the input, in Jinja; `{{ input }}` is the part."""
    part_tokens: Annotated[int, Meta(ge=64)] | None = None
    """Longest part, in tokens; absent: what the model's context leaves room for."""
    answer_tokens: Annotated[int, Meta(ge=16)] = 256
    """Longest answer to one part, in tokens."""
    max_parts: Annotated[int, Meta(ge=2, le=1000)] = 64
    """Most parts, all rounds together; a longer input is refused."""
    at_once: Annotated[int, Meta(ge=1, le=16)] = 2
    """Parts that are answered at the same time."""


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


class ExamplesSpec(_Part, frozen=True, kw_only=True):
    """Few-shot examples in full (`examples:`); a plain list is short for `{entries: …}`."""

    entries: list[ExampleEntry] = []
    """Examples written here; they come before those of the file."""
    source: str | None = msgspec.field(default=None, name="from")
    """A dataset in the service's folder (`data/support.jsonl`): rows `{"prompt","completion"}` or
    `{"messages"}`, and if you like `reasoning`, `language`."""
    choose: Literal["first", "nearest"] = "first"
    """Which examples a turn gets: `first`, in their order, or `nearest`, those that are most like
    what the user wrote, the likest last."""
    diversity: Annotated[float, Meta(ge=0, le=1)] = 0.3
    """Of `nearest`: how much an example loses for being like one that is chosen already."""
    most: Annotated[int, Meta(ge=1, le=100)] | None = None
    """Most examples of a turn; absent: all, of a file the first eight."""
    max_tokens: Annotated[int, Meta(ge=16)] | None = None
    """Tokens that the examples of a turn may take, as estimated; those that do not fit stay out."""


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
    tasks: list[str] = []
    """What it must be made for, as the catalogue knows it: `chat`, `tools`, `vision`, …"""
    position: Literal["small", "light", "balanced", "flagship"] | None = None
    """The least standing in its provider's range, as the catalogue knows it."""


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
    equals: str | None = None
    """The answer, but for case, space around it and a full stop."""
    schema: dict[str, object] | None = None
    """A JSON Schema that the answer, read as JSON, conforms to."""
    min_chars: Annotated[int, Meta(ge=1)] | None = None
    """Fewest characters of the answer."""
    max_chars: Annotated[int, Meta(ge=1)] | None = None
    """Most characters of the answer."""
    any_of: list[str] = []
    """Texts of which the answer has one at least, in any case."""
    max_sentences: Annotated[int, Meta(ge=1)] | None = None
    """Most sentences of the answer."""


class PromptTest(_Part, frozen=True, kw_only=True):
    """A test of the template (`tests[]`): an input, and what the answer must be like.

    Checked for sense and rendered when the service loads; `headrace prompts test` asks the model.
    """

    user: str
    """What the user writes."""
    repeat: Annotated[int, Meta(ge=1, le=10_000)] = 1
    """How often `user` is written, one after the other: makes an input longer than a context."""
    history: list[str] = []
    """Earlier messages: the user's, the assistant's, and so on in turn."""
    requires: Requirements | None = None
    """What a model must offer to be asked; the test is skipped, and said to be, with another."""
    name: str = ""
    """What it shows, as a sentence that could be false."""
    variables: dict[str, VariableValue] = {}
    """Values of the template's variables."""
    language: str | None = None
    """The user's language (ISO 639-1); absent: the template's default text."""
    expect: Expectation = Expectation()
    """What the answer must be like."""


class PromptFile(_Part, frozen=True, kw_only=True):
    """A prompt template (`prompts/NAME.yaml`)."""

    name: str = ""
    """The template's name; absent: the file's."""
    description: str = ""
    """What it is for, in a sentence."""
    scenario: Scenario = Scenario()
    """Task, languages and audience."""
    variables: dict[str, VariableSpec] = {}
    """The values that its texts may use, by name."""
    messages: MessageTexts = MessageTexts()
    """The words, in Jinja."""
    examples: list[ExampleEntry] | ExamplesSpec = []
    """Few-shot examples, sent as real messages between the system prompt and the conversation."""
    reasoning: ReasoningForm | ReasoningSpec = "none"
    """Whether the model thinks before it answers, and who sees the thought."""
    output: OutputSpec | None = None
    """The form that answers must have."""
    params: ParamsConfig = ParamsConfig()
    """Inference parameters: under those of the request, over those of the model."""
    requires: Requirements = Requirements()
    """What a model must offer."""
    map_reduce: MapReduceSpec | None = None
    """How an input that is longer than the model's context is answered."""
    tools: list[str] | None = None
    """Tools of the service (`tools:` in headrace.yaml) that the model may call; absent: those that
    `generate` allows, `[]`: none."""
    max_rounds: Annotated[int, Meta(ge=1, le=32)] | None = None
    """Rounds of tool calls per turn; absent: as `generate` says."""
    tests: list[PromptTest] = []
    """Inputs with what their answers must be like."""
