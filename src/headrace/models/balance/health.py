"""Whether a member is to be used: by what became of the calls that were sent there."""

import enum
import math
from collections import deque

import msgspec

from headrace.models.balance.member import Outcome
from headrace.models.balance.settings import HealthSettings

__all__ = ["Failure", "Health", "HealthState"]

_RATE_S = 10.0
"""Time constant of the error rate."""
_RATE_CALLS = 10.0
_FORGOTTEN = 0.01
_FORGIVE_S = 60.0
"""So long without an ejection takes one off the doubling."""
_KEPT_FAILURES = 5


class HealthState(enum.Enum):
    """What a member's health says about sending a call there."""

    HEALTHY = "healthy"
    EJECTED = "ejected"
    PROBING = "probing"
    """One call is there to see whether it has recovered."""


class Failure(msgspec.Struct, frozen=True):
    """One call that went wrong."""

    at: float
    """Seconds on the balancer's clock."""
    outcome: Outcome
    text: str


class Health:
    """Health of one member: ejected for a while when it fails, back when a probe succeeds."""

    __slots__ = (
        "_calls",
        "_ejected_at",
        "_ejections",
        "_failed",
        "_rated_at",
        "_row",
        "_settings",
        "errors",
        "healthy_since",
        "is_misconfigured",
        "state",
        "until",
    )

    def __init__(self, settings: HealthSettings) -> None:
        self._settings = settings
        self.state = HealthState.HEALTHY
        self.until = 0.0
        """When an ejected one may be probed."""
        self.healthy_since = -math.inf
        self.is_misconfigured = False
        self.errors: deque[Failure] = deque(maxlen=_KEPT_FAILURES)
        self._row = 0
        self._ejections = 0
        self._ejected_at = -math.inf
        self._calls = self._failed = 0.0
        self._rated_at = 0.0

    @property
    def last_failure_at(self) -> float:
        return self.errors[-1].at if self.errors else -math.inf

    def error_rate(self, now: float) -> float:
        """Share of lately failed calls, 0 to 1; 0 as long as there were too few to tell."""
        if not self._failed:
            return 0.0
        share = math.exp((self._rated_at - now) / _RATE_S)
        return self._failed / self._calls if self._calls * share >= _RATE_CALLS else 0.0

    def saw_ok(self, sent_at: float, now: float) -> None:
        """It answered a call sent then, be it with a refusal of what was asked."""
        if self.state is not HealthState.HEALTHY and sent_at < self._ejected_at:
            return  # one that half of all calls fail at goes on answering the other half
        self._row = 0
        if self._failed:
            self._rate(0.0, now)
        if self.state is not HealthState.HEALTHY:
            self.state = HealthState.HEALTHY
            self.is_misconfigured = False
            self.healthy_since = now
            self._calls = self._failed = 0.0
        elif self._ejections and now - self.healthy_since > _FORGIVE_S:
            self._ejections -= 1
            self.healthy_since = now

    def saw_failure(self, outcome: Outcome, text: str, now: float, *, conclusive: bool) -> None:
        """A call failed. `conclusive`: no need to see another."""
        self.errors.append(Failure(now, outcome, text))
        self._row += 1
        self._rate(1.0, now)
        if outcome is Outcome.MISCONFIGURED:
            self.is_misconfigured = True
        if self.state is HealthState.EJECTED:
            return  # sent before it was out, or because all are
        if (
            conclusive
            or self.is_misconfigured
            or self.state is HealthState.PROBING
            or self._row >= self._settings.consecutive_failures
            or (
                self._calls >= _RATE_CALLS
                and self._failed > self._calls * self._settings.error_rate
            )
        ):
            self._eject(now)

    def probe(self) -> None:
        """One call is on its way to see."""
        self.state = HealthState.PROBING

    def probe_ended(self, now: float) -> None:
        """The probe says nothing: it was cancelled, or throttled. Another one may go at once."""
        if self.state is HealthState.PROBING:
            self.state = HealthState.EJECTED
            self.until = now

    def _eject(self, now: float) -> None:
        settings = self._settings
        self.state = HealthState.EJECTED
        pause_s = min(settings.ejection_s * 2.0**self._ejections, settings.ejection_max_s)
        if self.is_misconfigured:
            pause_s = settings.misconfigured_s
        self._ejected_at = now
        self.until = now + pause_s
        self._ejections = min(self._ejections + 1, 10)

    def _rate(self, failed: float, now: float) -> None:
        # Counts from the first failure on: the ordinary call of a healthy member costs nothing.
        share = math.exp((self._rated_at - now) / _RATE_S) if self._calls else 0.0
        self._calls = self._calls * share + 1.0
        self._failed = self._failed * share + failed
        self._rated_at = now
        if self._failed < _FORGOTTEN:
            self._calls = self._failed = 0.0
