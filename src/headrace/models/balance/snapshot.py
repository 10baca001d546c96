"""What the balancer knows, for metrics, `headrace doctor` and the console."""

from collections.abc import Sequence

import msgspec

from headrace.models.balance.health import Failure, HealthState
from headrace.models.balance.state import MemberState

__all__ = ["MemberSnapshot", "snapshot_of"]


class MemberSnapshot(msgspec.Struct, frozen=True, kw_only=True):
    """One member at one moment."""

    key: str
    region: str | None
    tier: int
    outstanding: int
    """Calls there now."""
    capacity: int | None
    """Calls it takes at once: declared, or as learned so far; None: no limit met yet."""
    ttft_s: float | None
    tpot_s: float | None
    health: HealthState
    is_silent: bool
    """Calls wait there and nothing has come for unusually long."""
    is_misconfigured: bool
    error_rate: float
    """Share of failed calls lately, 0 to 1."""
    ejected_for_s: float
    """Until the next probe; 0 when it is not out."""
    paused_for_s: float
    """Throttled or out of quota for so long yet; 0 when not."""
    errors: Sequence[Failure]
    """The last ones, oldest first."""


def snapshot_of(state: MemberState, now: float) -> MemberSnapshot:
    """One member as it is now."""
    limit = state.limit.value
    health = state.health
    is_out = health.state is HealthState.EJECTED
    return MemberSnapshot(
        key=state.member.key,
        region=state.member.region,
        tier=state.member.tier,
        outstanding=state.outstanding,
        capacity=None if limit == float("inf") else int(limit),
        ttft_s=state.latency.ttft_s,
        tpot_s=state.latency.tpot_s,
        health=health.state,
        is_silent=state.is_silent(now),
        is_misconfigured=health.is_misconfigured,
        error_rate=health.error_rate(now),
        ejected_for_s=max(0.0, health.until - now) if is_out else 0.0,
        paused_for_s=max(0.0, state.paused_until - now),
        errors=tuple(health.errors),
    )
