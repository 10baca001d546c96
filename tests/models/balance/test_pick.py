"""Who gets a call: load by capacity, speed, home of a prefix, shares, price, order."""

from collections import Counter
from random import Random

import pytest

from headrace.models.balance import Balancer, BalanceSettings, Demand, Member, Outcome, Ticket
from tests.models.balance.fleet import Clock, Fleet, Upstream, balancer

ANY = Demand()


def take(each: Balancer, demand: Demand = ANY) -> Ticket:
    ticket = each.try_acquire(demand)
    assert ticket is not None
    return ticket


def test_calls_go_by_load_relative_to_capacity() -> None:
    each = balancer(Clock(), [Member(key="a", capacity=4), Member(key="b", capacity=12)])
    picks = Counter(take(each).member.key for _ in range(12))
    assert picks == {"a": 3, "b": 9}


def test_a_declared_capacity_is_never_exceeded() -> None:
    each = balancer(Clock(), [Member(key="a", capacity=2), Member(key="b", capacity=3)])
    picks = Counter(take(each).member.key for _ in range(5))
    assert picks == {"a": 2, "b": 3}
    assert each.try_acquire(Demand()) is None


def test_what_is_given_back_can_be_taken_again() -> None:
    each = balancer(Clock(), [Member(key="a", capacity=1)])
    ticket = take(each)
    ticket.done(Outcome.OK)
    ticket.done(Outcome.OK)  # once is enough
    take(each)
    assert each.try_acquire(Demand()) is None


def test_the_faster_one_gets_more_calls_but_not_all() -> None:
    clock = Clock()
    each = balancer(clock, [Member(key="a"), Member(key="b")])
    upstreams = {"a": Upstream(ttft_s=0.1, answer_s=1.0), "b": Upstream(ttft_s=0.1, answer_s=1.5)}
    load = Fleet(clock, each, upstreams, every_s=0.05)
    load.run(60.0)
    picks = Counter(pick.member for pick in load.picks[600:])
    assert picks["a"] > 1.3 * picks["b"]
    assert picks["b"] > 0.1 * picks["a"]


@pytest.mark.parametrize("count", [2, 10, 100])
def test_prompts_that_begin_alike_go_to_one_member(count: int) -> None:
    each = balancer(Clock(), [Member(key=f"m{number}") for number in range(count)])
    random = Random(3)
    homes: dict[int, set[str]] = {}
    for _ in range(300):
        prefix = random.getrandbits(5)
        ticket = take(each, Demand(prefix=prefix))
        assert ticket.reason == "prefix"
        homes.setdefault(prefix, set()).add(ticket.member.key)
        ticket.done(Outcome.OK)
    assert {len(members) for members in homes.values()} == {1}
    assert len(set.union(*homes.values())) > 1


def test_another_gateway_finds_the_same_home() -> None:
    members = [Member(key=f"m{number}") for number in range(30)]
    one, other = balancer(Clock(), members, seed=1), balancer(Clock(), members, seed=2)
    for prefix in range(100):
        mine, theirs = take(one, Demand(prefix=prefix)), take(other, Demand(prefix=prefix))
        assert mine.member.key == theirs.member.key
        mine.done(Outcome.OK)
        theirs.done(Outcome.OK)


def test_most_prefixes_stay_at_home_when_a_member_is_added() -> None:
    before = [Member(key=f"m{number}") for number in range(10)]
    each = balancer(Clock(), before)
    homes = []
    for members in (before, [*before, Member(key="new")]):
        each.update_members(members)
        found = []
        for prefix in range(400):
            ticket = take(each, Demand(prefix=prefix))
            found.append(ticket.member.key)
            ticket.done(Outcome.OK)
        homes.append(found)
    moved = sum(a != b for a, b in zip(*homes, strict=True))
    assert moved < 400 * 0.25


def test_one_hot_prefix_does_not_overload_its_home() -> None:
    each = balancer(Clock(), [Member(key=f"m{number}") for number in range(10)])
    picks = Counter(take(each, Demand(prefix=7)).member.key for _ in range(200))
    assert max(picks.values()) <= 1.25 * 200 / 10 + 2


def test_affinity_can_be_switched_off() -> None:
    each = balancer(Clock(), [Member(key="a"), Member(key="b")], BalanceSettings(affinity=False))
    assert {take(each, Demand(prefix=7)).member.key for _ in range(2)} == {"a", "b"}


def test_weights_are_shares() -> None:
    each = balancer(
        Clock(),
        [Member(key="a", weight=3.0), Member(key="b", weight=1.0)],
        BalanceSettings(prefer="weights"),
    )
    picks: Counter[str] = Counter()
    for _ in range(400):
        ticket = take(each)
        picks[ticket.member.key] += 1
        ticket.done(Outcome.OK)
    assert picks == {"a": 300, "b": 100}


def test_one_that_was_out_does_not_make_up_for_its_share() -> None:
    clock = Clock()
    each = balancer(clock, [Member(key="a"), Member(key="b")], BalanceSettings(prefer="weights"))
    for _ in range(100):
        take(each, Demand(exclude=frozenset("b"))).done(Outcome.OK)
    for _ in range(3):
        take(each, Demand(exclude=frozenset("a"))).done(Outcome.FAILED)
    for _ in range(100):
        take(each).done(Outcome.OK)
    clock.advance(1.0)
    for _ in range(2):
        take(each).done(Outcome.OK)
    picks = Counter(take(each).member.key for _ in range(50))
    assert picks["b"] <= 30


def test_the_cheapest_is_asked_first_and_the_next_when_it_is_full() -> None:
    members = [
        Member(key="dear", usd_per_million=9.0, capacity=1),
        Member(key="cheap", usd_per_million=0.5, capacity=2),
        Member(key="middle", usd_per_million=2.0, capacity=1),
    ]
    each = balancer(Clock(), members, BalanceSettings(prefer="cost"))
    tickets = [take(each) for _ in range(4)]
    assert [ticket.member.key for ticket in tickets] == ["cheap", "cheap", "middle", "dear"]
    assert "spilled over" in tickets[2].reason
    tickets[0].done(Outcome.OK)
    assert take(each).member.key == "cheap"


def test_the_first_declared_is_asked_first() -> None:
    members = [Member(key="b", capacity=1), Member(key="a", capacity=1)]
    each = balancer(Clock(), members, BalanceSettings(prefer="order"))
    assert [take(each).member.key for _ in range(2)] == ["b", "a"]


def test_a_higher_tier_is_asked_only_when_the_lower_is_full_or_sick() -> None:
    members = [Member(key="spare", tier=1), Member(key="a"), Member(key="b")]
    each = balancer(Clock(), members)
    assert {take(each).member.key for _ in range(20)} == {"a", "b"}
    for key in ("a", "b"):
        for _ in range(3):
            take(each, Demand(exclude=frozenset({"a", "b", "spare"} - {key}))).done(Outcome.FAILED)
    assert take(each).member.key == "spare"


def test_a_new_configuration_keeps_what_is_known_of_members_that_stay() -> None:
    clock = Clock()
    each = balancer(clock, [Member(key="a", capacity=2), Member(key="b")])
    ticket = take(each, Demand(exclude=frozenset("b")))
    clock.advance(0.5)
    ticket.first_byte()
    gone = take(each, Demand(exclude=frozenset("a")))
    each.update_members([Member(key="c"), Member(key="a", capacity=5)])
    c, a = each.snapshot()
    assert (a.key, a.outstanding, a.capacity, a.ttft_s) == ("a", 1, 5, 0.5)
    assert (c.key, c.outstanding) == ("c", 0)
    gone.done(Outcome.FAILED)  # a call to one that is no longer there ends in peace
    ticket.done(Outcome.OK)
    assert [member.outstanding for member in each.snapshot()] == [0, 0]
