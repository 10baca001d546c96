"""Waiting when all are full: in order, within bounds, not beyond the deadline."""

import asyncio
import pickle
from collections.abc import Sequence

import pytest

from headrace.models.balance import (
    Balancer,
    BalanceSettings,
    Demand,
    Member,
    NoDeploymentLeft,
    Outcome,
    Overloaded,
    Ticket,
)
from headrace.models.balance.settings import QueueSettings
from tests.models.balance.fleet import Clock, balancer

ANY = Demand()


def full(
    length: int = 1000, members: Sequence[Member] = (Member(key="a", capacity=1),)
) -> tuple[Clock, Balancer, list[Ticket]]:
    """A balancer with no room left, and the tickets that took it."""
    clock = Clock()
    each = balancer(clock, members, BalanceSettings(queue=QueueSettings(length=length)))
    tickets = []
    while (ticket := each.try_acquire(Demand())) is not None:
        tickets.append(ticket)
    return clock, each, tickets


class Arrivals:
    """Calls that wait, and the order in which they are served."""

    def __init__(self, clock: Clock, each: Balancer) -> None:
        self._clock = clock
        self._balancer = each
        self.served: list[str] = []
        self.tickets: list[Ticket] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def arrive(
        self, name: str, demand: Demand = ANY, within_s: float = 60.0
    ) -> asyncio.Task[None]:
        async def wait() -> None:
            ticket = await self._balancer.acquire(demand, deadline=self._clock.now + within_s)
            self.served.append(name)
            self.tickets.append(ticket)

        task = asyncio.create_task(wait())
        self.tasks.append(task)
        await settle()
        return task

    async def serve_all(self, first: Ticket) -> list[str]:
        self.tickets.append(first)
        while self.tickets:
            self.tickets.pop().done(Outcome.OK)
            await settle()
        await asyncio.gather(*self.tasks)
        return self.served


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_more_urgent_goes_first_then_the_earlier() -> None:
    clock, each, (ticket,) = full()
    arrivals = Arrivals(clock, each)
    for name, priority in (("c1", 2), ("a1", 0), ("b1", 1), ("a2", 0), ("c2", 2)):
        await arrivals.arrive(name, Demand(priority=priority))
        clock.advance(0.01)
    assert each.waiting == 5
    assert await arrivals.serve_all(ticket) == ["a1", "a2", "b1", "c1", "c2"]
    assert each.waiting == 0


async def test_one_that_has_waited_long_goes_before_the_more_urgent() -> None:
    clock, each, (ticket,) = full()
    arrivals = Arrivals(clock, each)
    await arrivals.arrive("patient", Demand(priority=1))
    clock.advance(4.9)
    await arrivals.arrive("urgent")
    clock.advance(0.2)
    await arrivals.arrive("late")
    assert await arrivals.serve_all(ticket) == ["urgent", "patient", "late"]


async def test_nobody_overtakes_the_line() -> None:
    clock, each, (ticket,) = full()
    arrivals = Arrivals(clock, each)
    await arrivals.arrive("first")
    ticket.done(Outcome.OK)  # "first" has it now, though its task has not run yet
    assert each.try_acquire(Demand()) is None
    await settle()
    assert arrivals.served == ["first"]


async def test_beyond_the_length_of_the_line_calls_are_refused() -> None:
    clock, each, _ = full(length=2)
    arrivals = Arrivals(clock, each)
    await arrivals.arrive("first")
    await arrivals.arrive("second")
    with pytest.raises(Overloaded) as refusal:
        await each.acquire(Demand(), deadline=clock() + 60)
    assert refusal.value.code == "overloaded"
    assert refusal.value.retry_after_s >= 1.0
    assert each.waiting == 2
    for task in arrivals.tasks:
        task.cancel()


async def test_the_least_urgent_makes_room_for_the_urgent() -> None:
    clock, each, (ticket,) = full(length=2)
    arrivals = Arrivals(clock, each)
    await arrivals.arrive("batch", Demand(priority=5))
    last = await arrivals.arrive("batch too", Demand(priority=5))
    await arrivals.arrive("chat", Demand(priority=0))
    with pytest.raises(Overloaded):
        await last
    arrivals.tasks.remove(last)
    assert await arrivals.serve_all(ticket) == ["chat", "batch"]


async def test_without_a_line_all_is_refused_that_does_not_fit() -> None:
    clock, each, _ = full(length=0)
    with pytest.raises(Overloaded):
        await each.acquire(Demand(), deadline=clock() + 60)


async def test_waiting_ends_at_the_deadline() -> None:
    clock, each, _ = full()
    arrivals = Arrivals(clock, each)
    short = await arrivals.arrive("short", within_s=2.0)
    long = await arrivals.arrive("long", within_s=9.0)
    clock.advance(1.9)
    await settle()
    assert not short.done()
    clock.advance(0.2)
    with pytest.raises(Overloaded, match="in time"):
        await short
    assert not long.done()
    clock.advance(7.0)
    with pytest.raises(Overloaded):
        await long
    assert each.waiting == 0


async def test_a_pause_longer_than_the_deadline_is_said_at_once() -> None:
    clock = Clock()
    each = balancer(clock, [Member(key="a")])
    ticket = each.try_acquire(Demand())
    assert ticket is not None
    ticket.done(Outcome.THROTTLED, retry_after_s=30.0)
    with pytest.raises(Overloaded) as refusal:
        await each.acquire(Demand(), deadline=clock() + 10)
    assert refusal.value.retry_after_s == pytest.approx(30.0)


async def test_the_end_of_a_pause_lets_the_line_move() -> None:
    clock = Clock()
    each = balancer(clock, [Member(key="a")])
    ticket = each.try_acquire(Demand())
    assert ticket is not None
    ticket.done(Outcome.THROTTLED, retry_after_s=3.0)
    arrivals = Arrivals(clock, each)
    task = await arrivals.arrive("patient")
    clock.advance(2.9)
    await settle()
    assert not task.done()
    clock.advance(0.2)
    await task


async def test_one_who_hangs_up_leaves_the_line_and_takes_nothing() -> None:
    clock, each, (ticket,) = full()
    arrivals = Arrivals(clock, each)
    gone = await arrivals.arrive("gone")
    stays = await arrivals.arrive("stays")
    gone.cancel()
    await settle()
    assert each.waiting == 1
    ticket.done(Outcome.OK)
    await stays
    assert [member.outstanding for member in each.snapshot()] == [1]


@pytest.mark.parametrize("cancel_first", [True, False])
async def test_a_ticket_given_to_one_who_hangs_up_at_that_moment_is_not_lost(
    cancel_first: bool,
) -> None:
    clock, each, (ticket,) = full()
    arrivals = Arrivals(clock, each)
    gone = await arrivals.arrive("gone")
    if cancel_first:
        gone.cancel()
        ticket.done(Outcome.OK)
    else:
        ticket.done(Outcome.OK)
        gone.cancel()
    await settle()
    assert [member.outstanding for member in each.snapshot()] == [0]
    assert each.try_acquire(Demand()) is not None


async def test_calls_whose_members_are_full_do_not_hold_up_others() -> None:
    members = [
        Member(key="eu", region="eu", capacity=1),
        Member(key="us", region="us", capacity=1),
    ]
    clock, each, tickets = full(members=members)
    arrivals = Arrivals(clock, each)
    stays = await arrivals.arrive("stays in eu", Demand(regions=frozenset({"eu"})))
    goes = await arrivals.arrive("goes anywhere")
    next(ticket for ticket in tickets if ticket.member.key == "us").done(Outcome.OK)
    await goes
    assert not stays.done()
    next(ticket for ticket in tickets if ticket.member.key == "eu").done(Outcome.OK)
    await stays


async def test_a_new_member_serves_those_who_wait() -> None:
    clock, each, _ = full()
    arrivals = Arrivals(clock, each)
    task = await arrivals.arrive("waits")
    each.update_members([Member(key="a", capacity=1), Member(key="b")])
    await task
    assert arrivals.tickets[0].member.key == "b"


async def test_a_deployment_taken_away_ends_the_waiting_for_it() -> None:
    clock, each, _ = full(members=[Member(key="a", capacity=1, region="eu")])
    arrivals = Arrivals(clock, each)
    task = await arrivals.arrive("waits", Demand(regions=frozenset({"eu"})))
    each.update_members([Member(key="b", region="us")])
    with pytest.raises(NoDeploymentLeft):
        await task


async def test_the_loop_of_asyncio_wakes_the_line_as_well() -> None:
    each = Balancer([Member(key="a", capacity=1)])
    assert each.try_acquire(Demand()) is not None
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(Overloaded):
        await each.acquire(Demand(), deadline=began + 0.05)
    assert loop.time() >= began + 0.05


def test_an_overload_survives_pickle_with_its_pause() -> None:
    error = pickle.loads(pickle.dumps(Overloaded.now("full", 7.0)))
    assert (type(error), error.retry_after_s, error.hint) == (Overloaded, 7.0, "try again in 7 s")
