"""A clock that tests move, and a few deployments under steady load on it."""

import heapq
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from random import Random

from headrace.models.balance import Balancer, BalanceSettings, Demand, Member, Outcome, Ticket

__all__ = ["Clock", "Fleet", "Pick", "Upstream", "balancer"]


class Clock:
    """Monotonic seconds that only pass when told to, with timers."""

    def __init__(self) -> None:
        self.now = 1000.0
        self._timers: list[tuple[float, int, _Timer]] = []
        self._serial = itertools.count()

    def __call__(self) -> float:
        return self.now

    def call_later(self, seconds: float, call: Callable[[], None]) -> "_Timer":
        timer = _Timer(call)
        heapq.heappush(self._timers, (self.now + seconds, next(self._serial), timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Let time pass; timers go off in their order."""
        until = self.now + seconds
        while self._timers and self._timers[0][0] <= until:
            self.now, _, timer = heapq.heappop(self._timers)
            timer.fire()
        self.now = until


class _Timer:
    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    def fire(self) -> None:
        if self._call is not None:
            self._call()

    def cancel(self) -> None:
        self._call = None


def balancer(
    clock: Clock,
    members: Sequence[Member],
    settings: BalanceSettings | None = None,
    *,
    here: str | None = None,
    seed: int = 1,
) -> Balancer:
    return Balancer(
        members,
        settings,
        here=here,
        clock=clock,
        random=Random(seed),
        call_later=clock.call_later,
    )


@dataclass
class Upstream:
    """How one deployment behaves at the moment."""

    ttft_s: float = 0.05
    answer_s: float = 0.3
    failing: float = 0.0
    """Share of calls that fail at once."""
    is_frozen: bool = False
    slots: int | None = None
    """More calls than these get 429."""
    calls: int = 0


@dataclass(frozen=True)
class Pick:
    at: float
    member: str
    is_probe: bool


@dataclass
class Fleet:
    """Deployments under steady load. Calls that fail are tried again; `failed` did so for good."""

    clock: Clock
    balancer: Balancer
    upstreams: dict[str, Upstream]
    every_s: float
    streamed: bool = True
    picks: list[Pick] = field(default_factory=list)
    answered: int = 0
    failed: int = 0
    retried: int = 0
    random: Random = field(default_factory=lambda: Random(5))

    def run(self, seconds: float) -> None:
        until = self.clock.now + seconds
        while self.clock.now < until:
            self._call()
            self.clock.advance(self.every_s)

    def picked(self, member: str, *, after: float, probes: bool = False) -> list[float]:
        """When it was picked, since that moment."""
        return [
            pick.at
            for pick in self.picks
            if pick.member == member and pick.at >= after and (probes or not pick.is_probe)
        ]

    def _call(self) -> None:
        demand = Demand(size=100.0, streamed=self.streamed)
        retry = self.balancer.retry(demand, deadline=self.clock.now + 60.0)

        def attempt() -> None:
            ticket = self.balancer.try_acquire(retry.demand)
            if ticket is None:
                self.failed += 1
                return
            self.picks.append(Pick(self.clock.now, ticket.member.key, ticket.is_probe))
            self._send(ticket, ended)

        def ended(ticket: Ticket, outcome: Outcome) -> None:
            ticket.done(outcome)
            if outcome is Outcome.OK:
                self.answered += 1
                return
            pause_s = retry.after(ticket, outcome)
            if pause_s is None:
                self.failed += 1
                return
            self.retried += 1
            self.clock.call_later(pause_s, attempt)

        attempt()

    def _send(self, ticket: Ticket, ended: Callable[[Ticket, Outcome], None]) -> None:
        upstream = self.upstreams[ticket.member.key]
        later = self.clock.call_later
        upstream.calls += 1

        def end(outcome: Outcome) -> None:
            if ticket.is_open:
                upstream.calls -= 1
                ended(ticket, outcome)

        def begin() -> None:
            if upstream.is_frozen:
                later(0.1, begin)
            elif ticket.is_open:
                if self.streamed:
                    ticket.first_byte()
                later(upstream.answer_s, lambda: end(Outcome.OK))

        def lose_patience() -> None:
            if ticket.first_at is None:
                end(Outcome.TIMED_OUT)

        if self.random.random() < upstream.failing:
            later(0.002, lambda: end(Outcome.FAILED))
        elif upstream.slots is not None and upstream.calls > upstream.slots:
            later(0.002, lambda: end(Outcome.THROTTLED))
        else:
            later(upstream.ttft_s, begin)
            if self.streamed:
                later(ticket.patience_s, lose_patience)
