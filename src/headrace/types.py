"""What three rooms or more share: messages, inference parameters, deltas, usage.

Shapes follow OpenAI's chat completions wire format, so that mapping at the border is thin.
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

import msgspec

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = [
    "Annotation",
    "Choice",
    "Citation",
    "Delta",
    "Deltas",
    "Embedder",
    "FinishReason",
    "FunctionCall",
    "FunctionDelta",
    "Message",
    "Params",
    "Part",
    "Role",
    "Support",
    "TextKind",
    "TokenLogprob",
    "ToolCall",
    "ToolCallDelta",
    "Usage",
]

Role: TypeAlias = Literal["system", "developer", "user", "assistant", "tool", "function"]
FinishReason: TypeAlias = Literal["stop", "length", "tool_calls", "content_filter"]
Part: TypeAlias = dict[str, object]
"""One content part; `{"type": "text", "text": …}` is ours to read, any other kind passes through."""


class FunctionCall(msgspec.Struct):
    """The function a model asks for; `arguments` is JSON text exactly as the model wrote it."""

    name: str
    arguments: str


class ToolCall(msgspec.Struct):
    """A finished tool call of an assistant message."""

    id: str
    function: FunctionCall
    type: Literal["function"] = "function"


class Message(msgspec.Struct, omit_defaults=True):
    """One message of a conversation, in OpenAI's shape. Steps replace text, never the structure."""

    role: Role
    content: str | list[Part] | None = None
    name: str | None = None
    tool_calls: list[ToolCall] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    """Of an assistant message: the model's words for why it would not answer."""
    reasoning_content: str | None = None
    """Of an assistant message: its chain of thought, where the client sends it back."""

    def text(self) -> str:
        """All text of the message, parts joined by newlines; empty for none."""
        if isinstance(self.content, str):
            return self.content
        if self.content is None:
            return ""
        return "\n".join(text for part in self.content if isinstance(text := part.get("text"), str))

    def map_text(self, change: Callable[[str], str]) -> "Message":
        """A copy with `change` applied to each piece of text; other parts stay untouched."""
        if isinstance(self.content, str):
            content: str | list[Part] | None = change(self.content)
        elif self.content is None:
            content = None
        else:
            content = [
                {**part, "text": change(text)}
                if isinstance(text := part.get("text"), str)
                else part
                for part in self.content
            ]
        return msgspec.structs.replace(self, content=content)


class Params(msgspec.Struct, omit_defaults=True, frozen=True):
    """Inference parameters. None means "not said here": request over template over model."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    stop: list[str] | None = None
    seed: int | None = None
    n: int | None = None
    logprobs: bool | None = None
    top_logprobs: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    response_format: dict[str, object] | None = None
    tools: list[dict[str, object]] | None = None
    tool_choice: str | dict[str, object] | None = None
    parallel_tool_calls: bool | None = None
    extra: dict[str, object] = msgspec.field(default_factory=dict)
    """Fields that Headrace does not know; they go to the backend untouched."""

    def over(self, defaults: "Params") -> "Params":
        """These parameters, with `defaults` wherever nothing is said here."""
        merged = {
            name: value if (value := getattr(self, name)) is not None else getattr(defaults, name)
            for name in self.__struct_fields__
        }
        merged["extra"] = {**defaults.extra, **self.extra}
        return Params(**merged)


class FunctionDelta(msgspec.Struct, omit_defaults=True):
    """A piece of a function call: the name comes once, arguments in fragments."""

    name: str | None = None
    arguments: str | None = None


class ToolCallDelta(msgspec.Struct, omit_defaults=True):
    """A piece of one tool call; `index` says of which."""

    index: int
    id: str | None = None
    type: Literal["function"] | None = None
    function: FunctionDelta | None = None


class TokenLogprob(msgspec.Struct):
    """One token with its log probability (natural log) and the most likely alternatives."""

    token: str
    logprob: float
    bytes: list[int] | None = None
    top_logprobs: list["TokenLogprob"] = msgspec.field(default_factory=list)


class Usage(msgspec.Struct):
    """Tokens of one turn, in OpenAI's buckets.

    Cached tokens (read or written) are part of prompt tokens, reasoning tokens of completion tokens.
    """

    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    """Read from the provider's cache."""
    cache_write_tokens: int = 0
    """Written to the provider's cache, where it counts them."""
    reasoning_tokens: int = 0


class Citation(msgspec.Struct, frozen=True, kw_only=True, tag="citation"):
    """A place in an answer that names the passage it stands on."""

    start: int
    """Span of the marker (`[2]`) in the choice's text, in characters."""
    end: int
    number: int
    """What the marker says."""
    passage: str
    """The passage's id."""
    uri: str
    """Of the document."""
    title: str
    headings: tuple[str, ...] = ()
    page: int | None = None
    source_start: int = 0
    """Span of the passage in the document's text, in characters."""
    source_end: int = 0


class Support(msgspec.Struct, frozen=True, kw_only=True, tag="support"):
    """How far one sentence of an answer is supported by the passages that it could stand on."""

    start: int
    """Span of the sentence in the choice's text, in characters."""
    end: int
    score: float
    """Between 0 and 1: the calibrated probability that the passages say so."""
    supported: bool
    """Whether the score reaches the service's threshold."""
    passage: str | None = None
    """Id of the passage that supports it best."""


Annotation: TypeAlias = Citation | Support
"""A remark on a part of an answer."""


class Delta(msgspec.Struct):
    """One piece of an answer on its way to the user. `index` is the choice it belongs to.

    The last delta of each choice carries its `finish_reason`; `usage` comes once, in a delta of
    its own, after all choices have finished.
    """

    index: int = 0
    text: str = ""
    reasoning: str = ""
    """Chain of thought, kept apart from the shown answer."""
    refusal: str = ""
    """The model's own words for why it will not answer, where its wire keeps them apart."""
    tool_calls: list[ToolCallDelta] | None = None
    logprobs: list[TokenLogprob] | None = None
    finish_reason: FinishReason | None = None
    usage: Usage | None = None
    annotations: list[Annotation] | None = None
    """Remarks on what this or an earlier delta of the choice said."""


Deltas: TypeAlias = AsyncGenerator[Delta, None]
"""An answer as it streams. A generator, so that closing it reaches upstream and frees the slot."""


class Choice(msgspec.Struct):
    """A finished answer, gathered from its deltas."""

    index: int = 0
    text: str = ""
    reasoning: str = ""
    refusal: str = ""
    tool_calls: list[ToolCall] = msgspec.field(default_factory=list)
    logprobs: list[TokenLogprob] | None = None
    finish_reason: FinishReason | None = None
    annotations: list[Annotation] = msgspec.field(default_factory=list)


TextKind: TypeAlias = Literal["query", "passage"]
"""What a text is that gets a vector: some models embed a question in another way than its answer."""


class Embedder(Protocol):
    """Turns texts into vectors of unit length, so that a dot product is the cosine."""

    @property
    def id(self) -> str:
        """What made the vectors: only those of one id can be compared."""
        ...

    async def embed(
        self, texts: Sequence[str], *, kind: TextKind = "passage"
    ) -> "NDArray[np.float32]":
        """One row per text, in order. Some models embed questions in another way than passages.

        Raises:
            ModelUnavailable: the model is down.
        """
        ...
