"""Chats that mean the same to every server: what of a request the direct way can pass on unread.

A body that does not decode here is not wrong: the ordinary way reads it, and says what is. So all
that would have to be checked or changed (ranges, tools, parts of content, names, fields of ours) is
in the types.
"""

import zlib
from typing import Annotated, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Meta, UnsetType

from headrace.gateway.wire import MAX_STOP_SEQUENCES, StreamOptions
from headrace.models.estimate import TOKENS_OF_A_PROMPT, TOKENS_PER_MESSAGE, estimate_text_tokens
from headrace.models.model import PREFIX_CHARS
from headrace.types import Message, Params

__all__ = ["PlainChat", "PlainMessage", "Shape", "messages_of", "read_plain"]

T = TypeVar("T")
_Tokens: TypeAlias = Annotated[int, Meta(ge=1, le=1 << 24)]
_Penalty: TypeAlias = Annotated[float, Meta(ge=-2, le=2)]
_Stops: TypeAlias = Annotated[list[str], Meta(max_length=MAX_STOP_SEQUENCES)]
Shape: TypeAlias = tuple[object, ...]
"""The parameters of a request that its trace names."""


class PlainMessage(msgspec.Struct):
    """A message that is nothing but a text; fields that say nothing may be there."""

    role: Literal["system", "user", "assistant"]
    content: str
    name: None = None
    tool_calls: None = None
    tool_call_id: None = None
    refusal: None = None
    reasoning_content: None = None


class PlainChat(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Body of `POST /v1/chat/completions`, as far as it can be passed on."""

    model: str
    messages: Annotated[list[PlainMessage], Meta(min_length=1)]
    stream: bool | None = None
    stream_options: StreamOptions | UnsetType = UNSET
    temperature: Annotated[float, Meta(ge=0, le=2)] | UnsetType | None = UNSET
    top_p: Annotated[float, Meta(ge=0, le=1)] | UnsetType | None = UNSET
    max_tokens: _Tokens | UnsetType | None = UNSET
    max_completion_tokens: _Tokens | UnsetType | None = UNSET
    stop: str | _Stops | UnsetType | None = UNSET
    seed: int | UnsetType | None = UNSET
    presence_penalty: _Penalty | UnsetType | None = UNSET
    frequency_penalty: _Penalty | UnsetType | None = UNSET

    @property
    def asks_for_usage(self) -> bool:
        options = self.stream_options
        return bool(self.stream) and options is not UNSET and options.include_usage

    def says(self, field: str) -> bool:
        """Whether a field that may be left out stands in the request, whatever it says."""
        return getattr(self, field) is not UNSET

    @property
    def most_tokens(self) -> int | None:
        """How long the answer may become; None where nothing is said."""
        return _said(self.max_completion_tokens) or _said(self.max_tokens)

    @property
    def shape(self) -> Shape | None:
        """Equal for requests whose traces name the same parameters; None where few are equal."""
        if self.stop is not UNSET or self.seed is not UNSET:
            return None
        return (
            self.stream,
            self.temperature,
            self.top_p,
            self.max_tokens,
            self.max_completion_tokens,
            self.presence_penalty,
            self.frequency_penalty,
        )

    def params(self) -> Params:
        """As the trace names them."""
        stop = [self.stop] if isinstance(self.stop, str) else self.stop
        return Params(
            temperature=_said(self.temperature),
            top_p=_said(self.top_p),
            max_tokens=self.most_tokens,
            stop=_said(stop),
            seed=_said(self.seed),
            presence_penalty=_said(self.presence_penalty),
            frequency_penalty=_said(self.frequency_penalty),
        )

    def measure(self) -> tuple[int, int]:
        """Tokens of the prompt as estimated, and how it begins, as `prefix_of` has it."""
        messages = self.messages
        if len(messages) == 1:
            text = messages[0].content
            beginning = text[:PREFIX_CHARS]
            tokens = TOKENS_OF_A_PROMPT + TOKENS_PER_MESSAGE + estimate_text_tokens(text)
            return tokens, zlib.crc32(beginning.encode("utf-8", "surrogatepass"))
        tokens = TOKENS_OF_A_PROMPT
        beginnings: list[str] = []
        taken, is_over = 0, False
        for message in messages:
            text = message.content
            tokens += TOKENS_PER_MESSAGE + estimate_text_tokens(text)
            if not is_over:
                beginnings.append(text[:PREFIX_CHARS])
                taken += len(beginnings[-1])
                is_over = message.role == "user" or taken >= PREFIX_CHARS
        return tokens, zlib.crc32("\0".join(beginnings).encode("utf-8", "surrogatepass"))


class _Messages(msgspec.Struct):
    messages: list[Message]


read_plain = msgspec.json.Decoder(PlainChat).decode
"""Raises one of `UNREADABLE` where a request is not plain."""
_decode_messages = msgspec.json.Decoder(_Messages).decode
_encode = msgspec.json.Encoder().encode


def messages_of(body: bytes) -> str:
    """The messages as the trace keeps them."""
    return _encode(_decode_messages(body).messages).decode()


def _said(value: T | UnsetType | None) -> T | None:
    return None if isinstance(value, UnsetType) else value
