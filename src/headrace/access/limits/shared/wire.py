"""What goes to `script.lua` and what comes back, as MessagePack arrays."""

from collections.abc import Sequence
from typing import TypeAlias

import msgspec

__all__ = ["Answer", "Batch", "CallRequest", "Reply", "decode_reply", "encode_batch"]

Limit: TypeAlias = tuple[str, int]
"""A counter's name and its limit."""
Budget: TypeAlias = tuple[str, int, float]
"""A counter's name, the period, and its limit in US dollars."""
Refused: TypeAlias = tuple[int, int, float, float]
"""Kind (0 requests, 1 tokens, 2 concurrent, 3 budget), which of them, what is used, and the wait in
seconds (-1: it never fits)."""


class CallRequest(msgspec.Struct, array_like=True, frozen=True):
    """A call that asks to be let in."""

    tokens: int
    usd: float
    lease: str
    requests: Sequence[Limit]
    rates: Sequence[Limit]
    """Limits on tokens."""
    places: Sequence[Limit]
    """Limits on calls at the same time."""
    budgets: Sequence[Budget]


class Batch(msgspec.Struct, array_like=True, frozen=True):
    """What a gateway reports and asks, in one message."""

    now: float
    """Seconds since the epoch; 0 lets Redis look at its own clock, which all gateways share."""
    gateway: str
    number: int
    """Of this gateway's batches. One that is sent again keeps its number."""
    beats: bool
    """Whether it is a sign of life too."""
    beat_s: float
    """Seconds between two signs of life; leases last three times as long."""
    windows: Sequence[tuple[str, int, int]]
    """Counter, slot (-1: the current one), and by how much to change it."""
    spends: Sequence[tuple[str, int, float]]
    """Counter, period, and by how much to change it."""
    held: Sequence[tuple[str, str]]
    """Counter and lease of calls that are still running."""
    left: Sequence[tuple[str, str]]
    """Counter and lease of calls that have ended."""
    calls: Sequence[CallRequest]


class Answer(msgspec.Struct, array_like=True, frozen=True):
    """What became of one call."""

    slot: int
    """Where its tokens were reserved."""
    requests: list[int]
    """What the windows hold now, in the order of the limits."""
    tokens: list[int]
    refused: list[Refused]


class Reply(msgspec.Struct, array_like=True, frozen=True):
    """What the script answers."""

    gateways: int
    """How many there are, this one included; 0 where the batch was no sign of life."""
    answers: list[Answer]


encode_batch = msgspec.msgpack.Encoder().encode
decode_reply = msgspec.msgpack.Decoder(Reply).decode
