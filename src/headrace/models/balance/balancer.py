"""The balancer: which deployment of a model gets the next call, and what is learned from it.

All of it runs on one event loop and does no I/O. Time, randomness and timers are passed in.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from random import Random
from typing import Protocol

from headrace.errors import HeadraceError
from headrace.models.balance.errors import NoDeploymentLeft, Overloaded
from headrace.models.balance.hedge import Hedge
from headrace.models.balance.lanes import Lanes
from headrace.models.balance.latency import Pool
from headrace.models.balance.line import Line, Waiter
from headrace.models.balance.member import Demand, Member, Outcome
from headrace.models.balance.retry import Retry, RetryBudget
from headrace.models.balance.settings import BalanceSettings
from headrace.models.balance.snapshot import MemberSnapshot, snapshot_of
from headrace.models.balance.state import MemberState
from headrace.models.balance.ticket import Report, Ticket

__all__ = ["Balancer", "Timer"]

_RATE_KEEP = 0.9
_RETRY_AFTER_MAX_S = 60.0
_PATIENCE_LEAST_S = 5.0
_PROBE_PATIENCE_LEAST_S = 1.0
_PATIENCE = 8.0
_DOUBT_S = 15.0
"""An answer that may take long by right is given up after so long, if nothing else comes from there
either: half of the time within which a call is made again."""


class Timer(Protocol):
    """What `call_later` of an event loop returns."""

    def cancel(self) -> None: ...


class Balancer:
    """The deployments of one model, and who gets the next call."""

    def __init__(
        self,
        members: Iterable[Member],
        settings: BalanceSettings | None = None,
        *,
        here: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        random: Random | None = None,
        call_later: Callable[[float, Callable[[], None]], Timer] | None = None,
    ) -> None:
        """
        Args:
            here: the region that this gateway is in.
            clock: monotonic seconds; deadlines are on it.
            call_later: as of an event loop, which is taken where nothing is passed.
        """
        self.settings = settings or BalanceSettings()
        self.budget = RetryBudget(self.settings.retry, clock)
        self.hedge = Hedge(self.settings.hedge)
        self._clock = clock
        self._random = random or Random()  # noqa: S311  # spreads load, keeps no secret
        self._call_later = call_later
        self._pool = Pool()
        self._lanes = Lanes(self.settings, here=here, pool=self._pool, random=self._random)
        self._line = Line(self.settings.queue)
        self._timer: Timer | None = None
        self._timer_at = 0.0
        self._few: dict[tuple[frozenset[str], frozenset[str] | None], frozenset[str] | None] = {}
        """What a call may use, by what it excludes and demands; None: more than it has attempts."""
        self._closed_at = clock()
        self._gap_s = 1.0
        """Time between two calls that end: how fast the line moves."""
        self.update_members(members)

    # Getting a ticket

    def try_acquire(self, demand: Demand) -> Ticket | None:
        """A ticket if there is room at once and nobody waits for the same, else None."""
        if self._line.length and self._line.first(()) is not None:
            return None
        return self._grant(demand, self._clock())

    async def acquire(self, demand: Demand, *, deadline: float) -> Ticket:
        """A ticket; waits in line for it until `deadline` at most.

        Raises:
            Overloaded: the line is full too, or the deadline passed, or surely will.
            NoDeploymentLeft: there is no member that this call may go to.
        """
        ticket = self.try_acquire(demand)
        if ticket is not None:
            return ticket
        future: asyncio.Future[Ticket] = asyncio.get_running_loop().create_future()

        def granted(ticket: Ticket) -> None:
            if future.done():
                ticket.done(Outcome.CANCELLED)  # its client hung up in this very moment
            else:
                future.set_result(ticket)

        def refused(error: HeadraceError) -> None:
            if not future.done():
                future.set_exception(error)

        waiter = Waiter(demand, deadline, granted, refused)
        self.enqueue(waiter)
        try:
            return await future
        except asyncio.CancelledError:
            self.leave(waiter)
            if future.done() and not future.cancelled() and future.exception() is None:
                future.result().done(Outcome.CANCELLED)  # granted and hung up at once
            raise

    def enqueue(self, waiter: Waiter) -> None:
        """Let a call wait. It is told at once when it gets a ticket or cannot get one."""
        now = self._clock()
        refusal = self._refusal(waiter, now)
        if refusal is not None:
            waiter.refused(refusal)
            return
        pushed_out = self._line.push(waiter, now)
        if pushed_out is not None:
            why = f"{self._line.length} calls wait already"
            pushed_out.refused(Overloaded.now(why, self._retry_after_s()))
        self._drain(now)

    def leave(self, waiter: Waiter) -> None:
        """A call waits no longer: its client has gone."""
        self._line.remove(waiter)

    @property
    def waiting(self) -> int:
        """Calls in line."""
        return self._line.length

    def retry(self, demand: Demand, *, deadline: float) -> Retry:
        """Counts the attempts of one call and says whether and when to make another."""
        return Retry(
            demand,
            deadline,
            usable=self._few_usable(demand),
            settings=self.settings.retry,
            budget=self.budget,
            clock=self._clock,
            random=self._random,
        )

    # What callers tell

    def first_byte(self, ticket: Ticket) -> None:
        """An answer begins."""
        now = self._clock()
        ticket.first_at = now
        state = ticket.state
        state.heard(now)
        if not ticket.demand.streamed:
            return
        state.waiting.pop(ticket, None)
        if ticket.is_probe or ticket.sent_at < state.woke_at:
            return  # tells of its health, not of its speed
        ttft_s = now - ticket.sent_at
        state.latency.saw_first(ttft_s, now)
        self.hedge.saw_first(ttft_s)
        self._saw_answer(state, ttft_s, now)

    def _saw_answer(self, state: MemberState, ttft_s: float | None, now: float) -> None:
        before = state.limit.value
        state.limit.saw_answer(ttft_s, state.outstanding, now)
        if state.limit.value != before:
            self._lanes.settle(state, now)
            if self._line.length:
                self._drain(now)

    def heard(self, ticket: Ticket) -> None:
        """An answer goes on."""
        ticket.state.heard(self._clock())

    def close(self, ticket: Ticket, report: Report) -> None:
        """A call has ended."""
        now = self._clock()
        state = ticket.state
        was_silent = state.is_silent(now)
        if report.limits is not None:
            state.quota.told(report.limits, now)
        self._judge(ticket, report, was_silent=was_silent, now=now)
        state.closed(ticket, ticket.size)
        if report.limits is not None:
            self._heed_quota(state, now)
        self._lanes.closed(state, now, doubtful=report.outcome is Outcome.FAILED)
        self._gap_s += (1.0 - _RATE_KEEP) * (now - self._closed_at - self._gap_s)
        self._closed_at = now
        if self._line.length:
            self._drain(now)

    def saw_rtt(self, key: str, rtt_s: float) -> None:
        """A round trip to a member, as when a connection to it opened."""
        now = self._clock()
        if self._lanes.saw_rtt(key, rtt_s, now) and self._line.length:
            self._drain(now)

    def patience_s(self, ticket: Ticket) -> float:
        """How long a call should wait for its first byte before it is tried elsewhere."""
        longest_s = self.settings.first_byte_s
        usual_s = ticket.state.latency.ttft_s
        least_s = _PROBE_PATIENCE_LEAST_S if ticket.is_probe else _PATIENCE_LEAST_S
        if usual_s is None or not ticket.demand.streamed or len(self._lanes.states) == 1:
            return longest_s
        return min(longest_s, max(least_s, _PATIENCE * usual_s))

    def is_hopeless(self, ticket: Ticket) -> bool:
        """Whether a call without a first byte is better made elsewhere before its patience ends.

        So it is where all that is there waits as well, although answers usually come: where a
        whole answer is awaited, or nothing is known yet, no time by itself would say so.
        """
        if len(self._lanes.states) == 1 or ticket.first_at is not None:
            return False
        now = self._clock()
        state = ticket.state
        if not state.is_silent(now):
            return False
        usual_s = state.latency.finish_s(ticket.size, 0.0, self._pool, now)
        return now - ticket.sent_at >= min(_DOUBT_S, max(_PATIENCE_LEAST_S, _PATIENCE * usual_s))

    # What operators do

    def update_members(self, members: Iterable[Member]) -> None:
        """Take a new configuration; what is known of members that stay is kept."""
        now = self._clock()
        self._few = {}
        self._lanes.take_over(members, now)
        for waiter in self._line.waiters():
            refusal = self._refusal(waiter, now)
            if refusal is not None:
                self._line.remove(waiter)
                waiter.refused(refusal)
        if self._line.length:
            self._drain(now)

    def snapshot(self) -> Sequence[MemberSnapshot]:
        """Every member as it is now, in the order of the configuration."""
        now = self._clock()
        return [snapshot_of(state, now) for state in self._lanes.states.values()]

    def tick(self) -> None:
        """Let time pass: deadlines of those in line, ends of pauses. The timer calls it."""
        now = self._clock()
        self._timer = None
        self._lanes.reopen(now)
        self._drain(now)

    # Inside

    def _grant(self, demand: Demand, now: float) -> Ticket | None:
        size = demand.size or self._pool.mean_size
        state = self._lanes.pick(demand, size, now)
        if state is None:
            return None
        if not demand.exclude:
            self.budget.called()  # a retry excludes what has failed, and earns none
        ticket = Ticket(self, state, demand, size, self._lanes.why, now)
        state.opened(ticket, size, now, streamed=demand.streamed)
        if state.outstanding > self._pool.busiest:
            self._pool.busiest = float(state.outstanding)
        if state.quota.is_known:
            self._heed_quota(state, now)
        self._lanes.opened(state, now)
        return ticket

    def _judge(self, ticket: Ticket, report: Report, *, was_silent: bool, now: float) -> None:
        state, outcome = ticket.state, report.outcome
        health = state.health
        if outcome in (Outcome.OK, Outcome.REFUSED):
            state.heard(now)
            health.saw_ok(ticket.sent_at, now)
            state.unpaused()
            if outcome is Outcome.OK and not ticket.is_probe and ticket.sent_at >= state.woke_at:
                seconds = now - (ticket.sent_at if ticket.first_at is None else ticket.first_at)
                state.latency.saw_done(seconds, ticket.size, report.tokens, now)
                self._pool.saw_done(seconds, ticket.size)
                if not ticket.demand.streamed:
                    state.limit.saw_answer(None, state.outstanding, now)
        elif outcome is Outcome.THROTTLED:
            state.heard(now)
            state.limit.saw_throttled(state.outstanding, ticket.sent_at, now)
            state.pause(report.retry_after_s, now)
            if ticket.is_probe:
                health.probe_ended(now)
        elif outcome is Outcome.CANCELLED:
            if ticket.is_probe:
                health.probe_ended(now)
            elif was_silent and state.outstanding == 1:
                # Nobody is left there who could notice that it speaks again.
                health.saw_failure(Outcome.TIMED_OUT, "silent", now, conclusive=True)
        else:
            timed_out = outcome is Outcome.TIMED_OUT
            if not timed_out:
                state.heard(now)
            health.saw_failure(outcome, report.error, now, conclusive=timed_out and was_silent)

    def _few_usable(self, demand: Demand) -> frozenset[str] | None:
        group = (demand.exclude, demand.regions)
        if group not in self._few:
            able = frozenset(each.member.key for each in self._lanes.permitted(demand))
            self._few[group] = able if len(able) <= self.settings.retry.attempts else None
        return self._few[group]

    def _heed_quota(self, state: MemberState, now: float) -> None:
        wait_s = state.quota.wait_s(self._pool.mean_size, now)
        if wait_s > 0.0:
            state.paused_until = max(state.paused_until, now + wait_s)

    def _drain(self, now: float) -> None:
        line = self._line
        while (late := line.expired(now)) is not None:
            late.refused(Overloaded.now("no room came free in time", self._retry_after_s()))
        blocked: set[tuple[frozenset[str], frozenset[str] | None]] = set()
        while (waiter := line.first(blocked)) is not None:
            ticket = self._grant(waiter.demand, now)
            if ticket is None:
                blocked.add(waiter.group)
                continue
            line.remove(waiter)
            waiter.granted(ticket)
        self._arm(now)

    def _arm(self, now: float) -> None:
        """See to it that the line is looked at when something may have changed by itself."""
        if not self._line.length:
            return
        at = min(self._line.next_deadline(), self._lanes.next_change())
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        later = self._call_later or asyncio.get_running_loop().call_later
        self._timer_at = at
        self._timer = later(max(0.0, at - now), self.tick)

    def _refusal(self, waiter: Waiter, now: float) -> HeadraceError | None:
        demand = waiter.demand
        able = self._lanes.permitted(demand)
        if not able:
            tried = demand.exclude & self._lanes.states.keys()
            return NoDeploymentLeft.permitted(demand.regions, tried)
        opens_at = min(state.paused_until for state in able)
        if opens_at >= waiter.deadline:
            return Overloaded.now("all deployments ask for a pause", opens_at - now)
        if waiter.deadline <= now:
            return Overloaded.now("the deadline has passed", self._retry_after_s())
        return None

    def _retry_after_s(self) -> float:
        """When the line will have moved on, at the pace it has had."""
        pace_s = max(self._gap_s, 0.001)
        return min(max(1.0, (self._line.length + 1) * pace_s), _RETRY_AFTER_MAX_S)
