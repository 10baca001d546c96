"""The nearest region first, the next when it is full, and never one that is not allowed."""

from collections import Counter

import pytest

from headrace.models.balance import (
    Balancer,
    Demand,
    Member,
    NoDeploymentLeft,
    Outcome,
    Ticket,
)
from tests.models.balance.fleet import Clock, balancer

ANY = Demand()

EU = frozenset({"eu"})


def world(here: str | None = "eu", capacity: int = 2) -> tuple[Clock, Balancer]:
    clock = Clock()
    members = [
        Member(key=f"{region}-{number}", region=region, capacity=capacity)
        for region in ("us", "eu", "asia")
        for number in range(2)
    ]
    return clock, balancer(clock, members, here=here)


def take(each: Balancer, demand: Demand = ANY) -> Ticket:
    ticket = each.try_acquire(demand)
    assert ticket is not None
    return ticket


def region(ticket: Ticket) -> str | None:
    return ticket.member.region


def test_our_own_region_is_asked_first_and_others_when_it_is_full() -> None:
    clock, each = world()
    for _ in range(2):
        each.saw_rtt("us-0", 0.09)
        each.saw_rtt("asia-0", 0.18)
        clock.advance(11.0)
    regions = [region(take(each)) for _ in range(12)]
    assert regions == ["eu"] * 4 + ["us"] * 4 + ["asia"] * 4


def test_the_nearest_by_round_trip_is_asked_first() -> None:
    clock, each = world(here=None)
    assert len({region(take(each)) for _ in range(6)}) == 3
    clock, each = world(here=None)
    for rtt_s, key in ((0.2, "us-0"), (0.15, "eu-1"), (0.02, "asia-0")):
        each.saw_rtt(key, rtt_s)
        clock.advance(11.0)
    each.saw_rtt("us-0", 0.2)
    assert [region(take(each)) for _ in range(12)] == ["asia"] * 4 + ["eu"] * 4 + ["us"] * 4


def test_regions_that_are_about_as_near_share_the_load() -> None:
    clock, each = world(here=None)
    for key in ("us-0", "eu-0", "asia-0", "us-0"):
        each.saw_rtt(key, {"us-0": 0.1, "eu-0": 0.11}.get(key, 0.5))
        clock.advance(11.0)
    assert Counter(region(take(each)) for _ in range(4)) == {"us": 2, "eu": 2}


def test_a_sick_region_is_left_and_come_back_to() -> None:
    clock, each = world(capacity=50)
    others = frozenset(member.key for member in each.snapshot())
    for key in ("eu-0", "eu-1"):
        for _ in range(3):
            take(each, Demand(exclude=others - {key})).done(Outcome.FAILED)
    assert region(take(each)) != "eu"
    clock.advance(1.0)
    for _ in range(2):
        take(each).done(Outcome.OK)
    assert region(take(each)) == "eu"


def test_data_that_must_stay_stays_when_its_region_is_full() -> None:
    _, each = world()
    tickets = [each.try_acquire(Demand(regions=EU)) for _ in range(6)]
    assert [ticket and region(ticket) for ticket in tickets] == ["eu"] * 4 + [None] * 2
    assert region(take(each)) != "eu"


def test_data_that_must_stay_stays_when_its_region_is_down() -> None:
    clock, each = world()
    for _ in range(100):
        take(each, Demand(regions=EU)).done(Outcome.FAILED)
        clock.advance(0.01)
    ticket = take(each, Demand(regions=EU))
    assert region(ticket) == "eu"
    retry = each.retry(Demand(regions=EU), deadline=clock() + 10)
    seen = set()
    while True:
        ticket = take(each, retry.demand)
        seen.add(region(ticket))
        ticket.done(Outcome.FAILED)
        if retry.after(ticket, Outcome.FAILED) is None:
            break
    assert seen == {"eu"}


def test_a_prefix_at_home_elsewhere_does_not_take_data_there() -> None:
    _, each = world(here=None, capacity=500)
    seen = {region(take(each, Demand(regions=EU, prefix=prefix))) for prefix in range(200)}
    assert seen == {"eu"}


async def test_data_that_may_go_nowhere_is_told_so_at_once() -> None:
    clock, each = world()
    with pytest.raises(NoDeploymentLeft, match="moon"):
        await each.acquire(Demand(regions=frozenset({"moon"})), deadline=clock() + 9)


async def test_a_member_without_a_region_is_outside_of_all() -> None:
    clock = Clock()
    each = balancer(clock, [Member(key="somewhere")])
    with pytest.raises(NoDeploymentLeft):
        await each.acquire(Demand(regions=EU), deadline=clock() + 9)
