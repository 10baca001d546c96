"""A ticket: the right to make one call to one member, and the duty to say how it went."""

from typing import Protocol

from headrace.models.backend import RateLimits
from headrace.models.balance.member import Demand, Member, Outcome
from headrace.models.balance.state import MemberState

__all__ = ["Office", "Report", "Ticket"]


class Report:
    """How a call ended."""

    __slots__ = ("error", "limits", "outcome", "retry_after_s", "tokens")

    def __init__(
        self,
        outcome: Outcome,
        tokens: int,
        retry_after_s: float | None,
        limits: RateLimits | None,
        error: str,
    ) -> None:
        self.outcome = outcome
        self.tokens = tokens
        self.retry_after_s = retry_after_s
        self.limits = limits
        self.error = error


class Office(Protocol):
    """Who gives tickets out and takes them back."""

    def first_byte(self, ticket: "Ticket") -> None: ...

    def heard(self, ticket: "Ticket") -> None: ...

    def close(self, ticket: "Ticket", report: Report) -> None: ...

    def patience_s(self, ticket: "Ticket") -> float: ...

    def is_hopeless(self, ticket: "Ticket") -> bool: ...


class Ticket:
    """One call to one member. `done` must be called once; further calls do nothing."""

    __slots__ = (
        "_office",
        "demand",
        "first_at",
        "is_open",
        "is_probe",
        "reason",
        "sent_at",
        "size",
        "state",
    )

    def __init__(
        self,
        office: Office,
        state: MemberState,
        demand: Demand,
        size: float,
        reason: str,
        sent_at: float,
    ) -> None:
        self._office = office
        self.state = state
        """The balancer's own record; `member` is what a caller wants."""
        self.demand = demand
        self.size = size
        self.reason = reason
        """Why this member, in a word or two for the trace."""
        self.is_probe = reason == "probe"
        self.sent_at = sent_at
        self.first_at: float | None = None
        self.is_open = True

    @property
    def member(self) -> Member:
        return self.state.member

    @property
    def patience_s(self) -> float:
        """How long to wait for the first byte before another member is the better bet."""
        return self._office.patience_s(self)

    @property
    def is_hopeless(self) -> bool:
        """Whether another member is the better bet already: it seems to be frozen."""
        return self._office.is_hopeless(self)

    def first_byte(self) -> None:
        """The answer begins."""
        if self.first_at is None and self.is_open:
            self._office.first_byte(self)

    def heard(self) -> None:
        """The answer goes on. Call it for each chunk, or for some: a fifth of a microsecond."""
        if self.is_open:
            self._office.heard(self)

    def done(
        self,
        outcome: Outcome,
        *,
        tokens: int = 0,
        retry_after_s: float | None = None,
        limits: RateLimits | None = None,
        error: str = "",
    ) -> None:
        """The call has ended.

        Args:
            tokens: completion tokens, where known.
            retry_after_s: with `THROTTLED`, what it said.
            limits: rate-limit headers of the answer, where it had any.
            error: what went wrong, for `headrace doctor`; no secrets, no personal text.
        """
        if self.is_open:
            self.is_open = False
            self._office.close(self, Report(outcome, tokens, retry_after_s, limits, error))
