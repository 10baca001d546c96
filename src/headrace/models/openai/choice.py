"""One choice of an answer: a piece of it in a chunk, or the whole message."""

from typing import TypeAlias

import msgspec

from headrace.errors import ModelUnavailable
from headrace.models.openai.errors import Site, WireError
from headrace.models.openai.usage import WireUsage
from headrace.types import Delta, FinishReason, TokenLogprob

__all__ = ["Chunk", "ChunkChoice", "WireMessage", "WireToolCall", "delta_of"]


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | dict[str, object] | None = None
    """JSON text; a few servers send the object itself."""


class WireToolCall(msgspec.Struct):
    """A tool call, or a fragment of one."""

    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Thought(msgspec.Struct):
    text: str | None = None


class _Part(msgspec.Struct):
    type: str | None = None
    text: str | None = None
    thinking: str | list[_Thought] | None = None
    """Of Mistral's reasoning models."""


_Content: TypeAlias = str | list[_Part] | None


class WireMessage(msgspec.Struct):
    """`delta` of a chunk, or `message` of a whole answer."""

    content: _Content = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    refusal: str | None = None
    tool_calls: list[WireToolCall] | None = None
    function_call: _Function | None = None


class _Token(msgspec.Struct):
    token: str = ""
    logprob: float | None = None
    bytes: list[int] | None = None
    top_logprobs: list["_Token"] | None = None


class _Logprobs(msgspec.Struct):
    content: list[_Token] | None = None
    refusal: list[_Token] | None = None
    tokens: list[str] | None = None
    """Of a bare completion, with the two below."""
    token_logprobs: list[float | None] | None = None
    top_logprobs: list[dict[str, float] | None] | None = None


class ChunkChoice(msgspec.Struct):
    """One choice."""

    index: int | None = None
    delta: WireMessage | None = None
    message: WireMessage | None = None
    text: str | None = None
    logprobs: _Logprobs | None = None
    finish_reason: str | None = None
    usage: WireUsage | None = None
    error: WireError | None = None

    def tool_calls(self) -> list[WireToolCall] | None:
        """Of the delta, or of the message where it is whole; the legacy function call included."""
        piece = self.delta or self.message
        if piece is None:
            return None
        if piece.function_call is not None:
            return [WireToolCall(index=0, function=piece.function_call)]
        return piece.tool_calls


class _Groq(msgspec.Struct):
    usage: WireUsage | None = None
    error: str | None = None


class Chunk(msgspec.Struct):
    """A chunk of a stream, or a whole answer. Fields that we do not read are not decoded."""

    id: str | None = None
    choices: list[ChunkChoice] | None = None
    usage: WireUsage | None = None
    error: WireError | str | None = None
    x_groq: _Groq | None = None


_FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
    "function_call": "tool_calls",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "max_length": "length",
    "model_length": "length",
    "model_context_window_exceeded": "length",
    "sensitive": "content_filter",
    "safety": "content_filter",
    "SAFETY": "content_filter",
}
_BROKEN = frozenset({"error", "network_error", "insufficient_system_resource", "abort"})
"""Finish reasons that say: this answer is not whole."""


def delta_of(choice: ChunkChoice, site: Site) -> Delta:
    """The choice as a delta, tool calls left out. A finish reason nobody knows means `stop`.

    Raises:
        ModelUnavailable: the finish reason says that the provider failed.
    """
    reason = choice.finish_reason
    if reason in _BROKEN:
        raise ModelUnavailable(f"{site.provider} broke off: {reason} ({site.model})")
    piece = choice.delta or choice.message
    if piece is None:
        return Delta(
            choice.index or 0,
            choice.text or "",
            logprobs=_logprobs(choice.logprobs) if choice.logprobs is not None else None,
            finish_reason=_FINISH.get(reason, "stop") if reason else None,
        )
    text, thought = piece.content or "", piece.reasoning_content or piece.reasoning or ""
    if not isinstance(text, str):
        text, more = _parted(text)
        thought += more
    return Delta(
        choice.index or 0,
        text,
        thought,
        piece.refusal or "",
        logprobs=_logprobs(choice.logprobs) if choice.logprobs is not None else None,
        finish_reason=_FINISH.get(reason, "stop") if reason else None,
    )


def _parted(parts: list[_Part]) -> tuple[str, str]:
    """Text and thoughts of content that comes in parts."""
    text: list[str] = []
    thoughts: list[str] = []
    for part in parts:
        if isinstance(part.thinking, str):
            thoughts.append(part.thinking)
        elif part.thinking is not None:
            thoughts.extend(each.text or "" for each in part.thinking)
        elif part.text:
            text.append(part.text)
    return "".join(text), "".join(thoughts)


def _logprobs(wire: _Logprobs) -> list[TokenLogprob] | None:
    tokens = [*(wire.content or ()), *(wire.refusal or ())]
    if tokens:
        return [_token(each) for each in tokens]
    if not wire.tokens:
        return None
    values = wire.token_logprobs or [None] * len(wire.tokens)
    tops = wire.top_logprobs or [None] * len(wire.tokens)
    return [
        TokenLogprob(
            token,
            value or 0.0,
            top_logprobs=[TokenLogprob(name, each) for name, each in (top or {}).items()],
        )
        for token, value, top in zip(wire.tokens, values, tops, strict=False)
    ]


def _token(wire: _Token) -> TokenLogprob:
    return TokenLogprob(
        wire.token,
        wire.logprob or 0.0,
        wire.bytes,
        [_token(each) for each in wire.top_logprobs or ()],
    )
