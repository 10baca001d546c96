"""What `/responses` sends: a response with its output items, and the events of a stream.

One struct reads every event; fields that we do not read are not decoded.
"""

import msgspec

from headrace.models.openai.errors import WireError
from headrace.types import TokenLogprob, Usage

__all__ = ["Event", "Item", "OutputPart", "Response", "tokens_of"]


class _Token(msgspec.Struct):
    token: str | None = None
    logprob: float | None = None
    bytes: list[int] | None = None
    top_logprobs: list["_Token"] | None = None


class OutputPart(msgspec.Struct):
    """A part of a message or of a train of thought."""

    type: str | None = None
    text: str | None = None
    refusal: str | None = None
    logprobs: list[_Token] | None = None


class Item(msgspec.Struct):
    """An output item: a message, a function call, thoughts, or a tool that ran there."""

    type: str | None = None
    id: str | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: object = None
    """JSON text; tools that run there may have an object here."""
    input: object = None
    """Of a custom tool call: free text."""
    content: list[OutputPart] | None = None
    summary: list[OutputPart] | None = None

    def said(self) -> str:
        """What a call is given."""
        for text in (self.arguments, self.input):
            if isinstance(text, str) and text:
                return text
        return ""


class _Incomplete(msgspec.Struct):
    reason: str | None = None


class _InputDetails(msgspec.Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class _OutputDetails(msgspec.Struct):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: _InputDetails | None = None
    output_tokens_details: _OutputDetails | None = None

    def counted(self) -> Usage:
        """In OpenAI's older buckets."""
        read = self.input_tokens_details or _InputDetails()
        written = self.output_tokens_details or _OutputDetails()
        return Usage(
            prompt_tokens=self.input_tokens or 0,
            completion_tokens=self.output_tokens or 0,
            cached_tokens=read.cached_tokens or 0,
            cache_write_tokens=read.cache_write_tokens or 0,
            reasoning_tokens=written.reasoning_tokens or 0,
        )


class Response(msgspec.Struct):
    """A whole response, or the state of one in an event."""

    id: str | None = None
    status: str | None = None
    output: list[Item] | None = None
    usage: _Usage | None = None
    error: WireError | None = None
    incomplete_details: _Incomplete | None = None


class Event(msgspec.Struct):
    """One event of a stream."""

    type: str | None = None
    delta: str | None = None
    text: str | None = None
    refusal: str | None = None
    arguments: str | None = None
    input: str | None = None
    output_index: int | None = None
    content_index: int | None = None
    summary_index: int | None = None
    logprobs: list[_Token] | None = None
    item: Item | None = None
    response: Response | None = None
    error: WireError | str | None = None
    message: str | None = None
    code: str | int | None = None
    param: str | None = None


def tokens_of(tokens: list[_Token] | None) -> list[TokenLogprob] | None:
    """Log probabilities, where there are any."""
    return [_token(each) for each in tokens] if tokens else None


def _token(wire: _Token) -> TokenLogprob:
    return TokenLogprob(
        wire.token or "",
        wire.logprob or 0.0,
        wire.bytes,
        [_token(each) for each in wire.top_logprobs or ()],
    )
