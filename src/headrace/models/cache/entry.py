"""A kept answer: its pieces as they came, packed, so that its size is known and nobody can change it."""

from collections.abc import Iterator, Sequence
from typing import TypeAlias

import msgspec

from headrace.types import Delta, FinishReason, Usage

__all__ = ["Entry", "pack", "replay", "unpack"]

Piece: TypeAlias = tuple[int, str, str, str, FinishReason | None]
"""Choice, text, reasoning, refusal, finish reason."""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """One answer."""

    pieces: list[Piece]
    usage: tuple[int, int, int, int, int] | None
    provider: str
    """Whose answer it was, as `gen_ai.provider.name` has it."""
    digest: str
    """What the deployment served."""
    made_at: float
    """Seconds since the epoch."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Entry).decode


def pack(deltas: Sequence[Delta], *, provider: str, digest: str, made_at: float) -> bytes:
    """The answer as bytes. It must be keepable (rule.py): tool calls are not carried."""
    pieces: list[Piece] = []
    usage: Usage | None = None
    for delta in deltas:
        usage = delta.usage or usage
        if delta.usage is None:
            pieces.append(
                (delta.index, delta.text, delta.reasoning, delta.refusal, delta.finish_reason)
            )
    counted = None if usage is None else msgspec.structs.astuple(usage)
    return _encode(Entry(pieces, counted, provider, digest, made_at))


def unpack(payload: bytes) -> Entry:
    """Raises msgspec.MsgspecError for what is no entry."""
    return _decode(payload)


def replay(entry: Entry) -> Iterator[Delta]:
    """The answer's deltas, in the pieces in which they came."""
    for index, text, reasoning, refusal, finish_reason in entry.pieces:
        yield Delta(
            index=index,
            text=text,
            reasoning=reasoning,
            refusal=refusal,
            finish_reason=finish_reason,
        )
    if entry.usage is not None:
        yield Delta(usage=Usage(*entry.usage))
