"""What is known of a deployment before it has answered anything, and what one call asks of one."""

import enum

import msgspec

__all__ = ["Demand", "Member", "Outcome"]


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """One deployment among those that can answer for each other."""

    key: str
    """Names it in traces, metrics and errors; unique within a model."""
    capacity: int | None = None
    """Calls it takes at once; None: learned."""
    weight: float = 1.0
    """Its share against the others of its tier (`prefer: weights`), or how much it is liked."""
    region: str | None = None
    tier: int = 0
    """Tier 0 is asked first; a higher one only when all below it are full or sick."""
    usd_per_million: float = 0.0
    """Price of a million tokens, in any blend that is the same for all (`prefer: cost`)."""
    identity: int = 0
    """Who is behind the key: another one there inherits nothing of what was learned."""


class Demand(msgspec.Struct, frozen=True, kw_only=True):
    """What one call needs. Calls of equal `exclude` and `regions` wait in one line."""

    size: float = 0.0
    """Estimated work in tokens (prompt and answer); 0: nobody knows, so an average is taken."""
    prefix: int | None = None
    """Hash of how the prompt begins: equal ones go to one member, whose cache knows it."""
    exclude: frozenset[str] = frozenset()
    """Keys of members that must not be taken: those that have just failed this call."""
    regions: frozenset[str] | None = None
    """Where the data may go. No fall-back leaves it; a member without a region is outside."""
    priority: int = 0
    """0 is the most urgent."""
    streamed: bool = True
    """False: the answer comes whole, so its first byte says nothing of the time to first token."""


class Outcome(enum.Enum):
    """How a call to a member ended, as far as the member is concerned."""

    OK = "ok"
    FAILED = "failed"
    """Unreachable, reset, broke off, 5xx, or an answer that makes no sense."""
    THROTTLED = "throttled"
    """It has no room for us just now (429): not sick, but full."""
    TIMED_OUT = "timed_out"
    """No first byte, or no next one, in time."""
    REFUSED = "refused"
    """The request's own fault (400, too long): the member did its work."""
    CANCELLED = "cancelled"
    """Our side ended it; says nothing of the member."""
    MISCONFIGURED = "misconfigured"
    """It refuses our key, address or model: nothing sent there can succeed."""
