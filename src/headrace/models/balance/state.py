"""All that is known of one member at this moment."""

import math

from headrace.models.balance.health import Health, HealthState
from headrace.models.balance.latency import Latency, Pool
from headrace.models.balance.limit import Limit
from headrace.models.balance.member import Member
from headrace.models.balance.quota import Quota
from headrace.models.balance.settings import HealthSettings

__all__ = ["MemberState"]

_LEAST_S = 0.001
"""Differences below a millisecond are noise; the load decides then."""
_FAILING = 4.0
"""One whose calls lately all failed would count so many times as slow, besides."""
_COLD = 2.0
"""The load of one that has just come back counts so many times, besides."""
_GAP_S = 3.0
"""Silence that is thought usual before any was seen."""
_GAPS = 3.0
"""Lately silent for so many times less: then a silence is suspicious."""
_GAP_FALL_S = 20.0
_PAUSE_S = 1.0
_PAUSE_MAX_S = 60.0


class MemberState:
    """One member: its calls, speed, limit, quota and health. Owned by the balancer."""

    __slots__ = (
        "_gap_s",
        "_heard_at",
        "_pauses",
        "_quiet_s",
        "_settings",
        "has_room",
        "health",
        "is_counted",
        "latency",
        "limit",
        "member",
        "outstanding",
        "passed",
        "paused_until",
        "quota",
        "recheck_at",
        "share",
        "slot",
        "waiting",
        "woke_at",
        "work",
    )

    def __init__(self, member: Member, settings: HealthSettings) -> None:
        self.member = member
        self.latency = Latency()
        self.limit = Limit(member.capacity)
        self.quota = Quota()
        self.health = Health(settings)
        self.outstanding = 0
        self.work = 0.0
        """Estimated tokens of the calls there."""
        self.waiting: dict[object, float] = {}
        """When the calls were sent that have no first byte yet, the oldest first."""
        self.paused_until = -math.inf
        """Throttled, or its provider's quota is used up."""
        self.woke_at = -math.inf
        """When it last broke a suspicious silence. What calls sent before took says nothing of its
        speed: that was a matter of health."""
        self.passed = 0.0
        """Work given to it so far, by weight (stride scheduling)."""
        self.leave_lane()
        self._settings = settings
        self._pauses = 0
        self._heard_at = 0.0
        self._gap_s = _GAP_S
        self._quiet_s = _GAP_S * _GAPS

    def leave_lane(self) -> None:
        """Forget where in a lane it stands."""
        self.slot = -1
        self.recheck_at = math.inf
        self.is_counted = False
        self.share = 0.0

    def opened(self, ticket: object, size: float, now: float, *, streamed: bool) -> None:
        """A call goes there."""
        if not self.outstanding:
            self._heard_at = now
        self.outstanding += 1
        self.work += size
        self.quota.take(size)
        if streamed:
            self.waiting[ticket] = now

    def closed(self, ticket: object, size: float) -> None:
        """A call is there no longer."""
        self.outstanding -= 1
        self.work = self.work - size if self.outstanding else 0.0
        self.waiting.pop(ticket, None)

    def heard(self, now: float) -> None:
        """Something came from it: learn how long it is usually silent."""
        gap_s = now - self._heard_at
        self._heard_at = now
        if gap_s > self._quiet_s:
            self.woke_at = now
        if gap_s > self._gap_s:
            # A silence that was suspicious does not make the next one usual all at once.
            self._gap_s = min(gap_s, self._quiet_s)
        else:
            self._gap_s -= (self._gap_s - gap_s) * min(1.0, gap_s / _GAP_FALL_S)
        self._quiet_s = max(self._settings.silence_s, self._gap_s * _GAPS)

    def is_silent(self, now: float) -> bool:
        """Whether calls wait there and nothing has come for longer than usual: frozen, perhaps."""
        return self.outstanding > 0 and now - self._heard_at > self._quiet_s

    def pause(self, seconds: float | None, now: float) -> None:
        """It wants no calls for so long; None where it did not say: doubling from one second."""
        if seconds is None:
            seconds = min(_PAUSE_S * 2.0**self._pauses, _PAUSE_MAX_S)
            self._pauses += 1
        self.paused_until = max(self.paused_until, now + seconds)

    def unpaused(self) -> None:
        """A call went well: the next pause is a short one again."""
        self._pauses = 0

    def is_open(self, now: float) -> bool:
        """Whether it may get one more call now."""
        return (
            self.outstanding < self.limit.value
            and self.health.state is HealthState.HEALTHY
            and self.paused_until <= now
        )

    def is_at_ease(self, now: float) -> bool:
        """Whether it stands where it belongs: free before, and free now."""
        return (
            self.slot >= 0
            and self.is_counted
            and self.outstanding < self.limit.value
            and self.health.state is HealthState.HEALTHY
            and self.paused_until <= now
        )

    def opens_at(self, now: float) -> float | None:
        """When it may be looked at again although nothing happens there; None: not by itself."""
        if self.health.state is HealthState.EJECTED:
            return max(self.health.until, self.paused_until)
        return self.paused_until if self.paused_until > now else None

    def cost(self, size: float, now: float, pool: Pool) -> float:
        """What a call of that size would cost here: seconds, made worse by load and trouble."""
        waiting = self.waiting
        waited_s = now - next(iter(waiting.values())) if waiting else 0.0
        seconds = self.latency.finish_s(size, waited_s, pool, now) + _LEAST_S
        capacity = self.limit.value
        load = (self.outstanding + 1) / (pool.busiest if capacity == math.inf else capacity)
        health = self.health
        if health.errors:
            seconds *= 1.0 + _FAILING * health.error_rate(now)
            cold_s = self._settings.slow_start_s - (now - health.healthy_since)
            if cold_s > 0.0:
                load *= 1.0 + _COLD * cold_s / self._settings.slow_start_s
        return seconds * (1.0 + load) / self.member.weight
