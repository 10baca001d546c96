"""What llama.cpp's server sends, as deltas."""

from collections.abc import AsyncGenerator, AsyncIterator, Iterator

import msgspec

from headrace.errors import ModelUnavailable
from headrace.models.sse import EventReader
from headrace.types import Delta, FinishReason, TokenLogprob, ToolCallDelta, Usage

__all__ = ["UsageSum", "deltas_of", "events_of"]


class _Piece(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[ToolCallDelta] | None = None


class _Logprobs(msgspec.Struct):
    content: list[TokenLogprob] | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Piece | None = None
    text: str | None = None
    logprobs: _Logprobs | None = None
    finish_reason: str | None = None


class _Details(msgspec.Struct):
    cached_tokens: int = 0


class _Usage(msgspec.Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: _Details | None = None


class _Failure(msgspec.Struct):
    message: str = ""


class _Chunk(msgspec.Struct):
    choices: list[_Choice] = msgspec.field(default_factory=list)
    usage: _Usage | None = None
    error: _Failure | None = None


_decode = msgspec.json.Decoder(_Chunk).decode
_FINISH: dict[str, FinishReason] = {
    "stop": "stop",
    "length": "length",
    "tool_calls": "tool_calls",
    "content_filter": "content_filter",
}


async def events_of(packets: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The data of each event up to `[DONE]`.

    Raises:
        ModelUnavailable: the stream ends before that, or an event is larger than 8 MiB.
    """
    reader = EventReader()
    done = False
    async for packet in packets:
        try:
            events = list(reader.feed(packet))
        except ValueError as error:
            raise ModelUnavailable(f"the model server sent too much: {error}") from error
        for event in events:
            # What follows is read, too: the end of the body shows that the connection is sound.
            done = done or event == b"[DONE]"
            if not done:
                yield event
    if not done:
        raise ModelUnavailable("the model server ended its answer too early")


class UsageSum:
    """llama.cpp reports usage once per choice; the prompt that they share counts once."""

    def __init__(self) -> None:
        self.total: Usage | None = None

    def add(self, one: _Usage) -> None:
        details = one.prompt_tokens_details
        cached = details.cached_tokens if details is not None else 0
        before = self.total or Usage()
        self.total = Usage(
            prompt_tokens=one.prompt_tokens,
            completion_tokens=before.completion_tokens + one.completion_tokens,
            cached_tokens=max(before.cached_tokens, cached),
        )


def deltas_of(event: bytes, usage: UsageSum) -> Iterator[Delta]:
    """The deltas of one event; what it says of usage goes to `usage`.

    Raises:
        ModelUnavailable: the server reports a failure in mid-stream, or sent what is no chunk.
    """
    try:
        chunk = _decode(event)
    except msgspec.MsgspecError as error:
        raise ModelUnavailable(f"the model server sent something unreadable: {error}") from error
    if chunk.error is not None:
        raise ModelUnavailable(f"the model server failed: {chunk.error.message}")
    for choice in chunk.choices:
        piece = choice.delta
        delta = Delta(
            index=choice.index,
            text=(piece.content if piece is not None else choice.text) or "",
            reasoning=(piece.reasoning_content if piece is not None else "") or "",
            tool_calls=piece.tool_calls if piece is not None else None,
            logprobs=choice.logprobs.content if choice.logprobs is not None else None,
            finish_reason=_FINISH.get(choice.finish_reason, "stop")
            if choice.finish_reason is not None
            else None,
        )
        if delta.text or delta.reasoning or delta.tool_calls or delta.finish_reason:
            yield delta
    if chunk.usage is not None:
        usage.add(chunk.usage)
