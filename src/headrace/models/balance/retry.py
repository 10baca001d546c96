"""Whether a call that failed is made again: attempts, budget, pause and deadline."""

import math
from collections.abc import Callable
from random import Random

import msgspec

from headrace.models.balance.member import Demand, Outcome
from headrace.models.balance.settings import RetrySettings
from headrace.models.balance.ticket import Ticket

__all__ = ["Attempt", "Retry", "RetryBudget"]

_SAVED_S = 10.0

_WORTHWHILE = frozenset(
    {Outcome.FAILED, Outcome.THROTTLED, Outcome.TIMED_OUT, Outcome.MISCONFIGURED}
)


class RetryBudget:
    """How many retries all calls of a model may make together (after Finagle's).

    Each call adds its share, which is kept for some 10 s; a floor keeps a quiet service able to
    retry at all.
    """

    def __init__(self, settings: RetrySettings, clock: Callable[[], float]) -> None:
        self._settings = settings
        self._clock = clock
        self._at = clock()
        self._floor = settings.budget_floor_per_s * _SAVED_S
        self._earned = 0.0

    def called(self) -> None:
        """A call begins."""
        self._earned += self._settings.budget

    def left(self) -> float:
        """Retries that may be made now."""
        now = self._clock()
        passed_s, self._at = now - self._at, now
        per_s = self._settings.budget_floor_per_s
        self._floor = min(self._floor + per_s * passed_s, per_s * _SAVED_S)
        self._earned *= math.exp(-passed_s / _SAVED_S)
        return self._floor + self._earned

    def spend(self) -> bool:
        """Take one; False when none is left."""
        if self.left() < 1.0:
            return False
        from_earned = min(1.0, self._earned)
        self._earned -= from_earned
        self._floor -= 1.0 - from_earned
        return True


class Attempt(msgspec.Struct, frozen=True):
    """One try of a call that did not succeed."""

    member: str
    outcome: Outcome
    error: str
    seconds: float
    """From the sending to the failure."""


class Retry:
    """The attempts of one call. Ask `after` once the ticket is done; then use `demand`."""

    def __init__(
        self,
        demand: Demand,
        deadline: float,
        *,
        usable: frozenset[str] | None,
        settings: RetrySettings,
        budget: RetryBudget,
        clock: Callable[[], float],
        random: Random,
    ) -> None:
        """
        Args:
            usable: all members that the call may go to, where they are few; None: many.
        """
        self.demand = demand
        """What to acquire for the next attempt: without those that failed."""
        self.tried: list[Attempt] = []
        """For the error that says what was tried."""
        self._first = demand
        self._deadline = deadline
        self._usable = usable
        self._settings = settings
        self._budget = budget
        self._clock = clock
        self._random = random
        self._pauses = 0

    def after(self, ticket: Ticket, outcome: Outcome, error: str = "") -> float | None:
        """Seconds to wait before the next attempt, or None: the call has failed.

        Never after the first byte, nor for what no other member would do better.
        """
        now = self._clock()
        self.tried.append(Attempt(ticket.member.key, outcome, error, now - ticket.sent_at))
        if outcome not in _WORTHWHILE or ticket.first_at is not None:
            return None
        if len(self.tried) >= self._settings.attempts or now >= self._deadline:
            return None
        exclude = self.demand.exclude | {ticket.member.key}
        if outcome is Outcome.MISCONFIGURED:
            # Nothing that is asked there can succeed: not a second time by this call.
            self._first = msgspec.structs.replace(
                self._first, exclude=self._first.exclude | {ticket.member.key}
            )
            if self._usable is not None and self._usable <= self._first.exclude:
                return None
        pause_s = 0.0
        if self._usable is not None and self._usable <= exclude:
            # All have been asked: from now on each may be asked again, after a pause.
            exclude = self._first.exclude
            pause_s = self._backoff_s()
        if now + pause_s >= self._deadline or not self._budget.spend():
            return None
        self.demand = msgspec.structs.replace(self._first, exclude=exclude)
        return pause_s

    def _backoff_s(self) -> float:
        settings = self._settings
        ceiling_s = min(settings.backoff_s * 2.0**self._pauses, settings.backoff_max_s)
        self._pauses += 1
        return self._random.uniform(0.0, ceiling_s)
