"""What waits for a person: an entry of the review queue on its way to the database."""

import msgspec

from headrace.telemetry.trace import Trace

__all__ = ["REVIEW", "Escalation", "ReviewRecord"]

REVIEW = "review.entry"
"""The kind of its record."""


class Escalation(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a policy gives to a person to decide."""

    policy: str
    """`NAME@DIGEST`."""
    side: str
    kind: str
    """The kind that led to it; the others are in the trace."""
    detector: str
    score: float
    withheld: bool
    """Whether the user waits for it."""
    text: str
    """The message, or the answer; encrypted before it leaves memory."""


class ReviewRecord(msgspec.Struct, array_like=True):
    """An entry as it is stored. `trace` tells whose it is; its texts are empty."""

    id: str
    trace: Trace
    entry: Escalation
    text_sealed: bytes | None
