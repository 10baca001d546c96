"""Capacity is learned where it is not declared, and quotas are heeded."""

import pytest

from headrace.models.backend import RateLimits
from headrace.models.balance import Balancer, Demand, Member, Outcome
from headrace.models.balance.limit import Limit
from tests.models.balance.fleet import Clock, Fleet, Upstream, balancer


def capacity(each: Balancer, key: str) -> int | None:
    return next(member.capacity for member in each.snapshot() if member.key == key)


def test_one_without_trouble_has_no_limit() -> None:
    each = balancer(Clock(), [Member(key="a")])
    assert all(each.try_acquire(Demand()) is not None for _ in range(2000))
    assert capacity(each, "a") is None


@pytest.mark.parametrize(("slots", "streamed"), [(4, True), (20, False), (60, True)])
def test_a_limit_is_learned_from_refusals_for_lack_of_room(slots: int, streamed: bool) -> None:
    clock = Clock()
    each = balancer(clock, [Member(key="a"), Member(key="b")])
    upstreams = {"a": Upstream(slots=slots, answer_s=1.0), "b": Upstream(answer_s=1.0)}
    load = Fleet(clock, each, upstreams, every_s=1.0 / (3 * slots), streamed=streamed)
    load.run(120.0)
    learned = capacity(each, "a")
    assert learned is not None
    assert 0.75 * slots - 1 <= learned <= 1.1 * slots + 1
    assert load.failed == 0
    late = [pick for pick in load.picks if pick.at > clock.now - 60.0]
    assert load.retried < 0.03 * len(load.picks)
    assert sum(pick.member == "a" for pick in late) > 0.2 * len(late)


@pytest.mark.parametrize("slots", [4, 30])
def test_a_limit_is_learned_from_a_standing_queue(slots: int) -> None:
    limit = Limit(None)
    now = 0.0
    at_once: list[int] = []
    for turn in range(3000):
        # A quiet beginning; then more than there is room for, which waits over there for a second
        # for each time that the slots are filled.
        sent = int(min(limit.value, 4 * slots if turn > 20 else 2))
        at_once.append(sent)
        for number in range(sent):
            limit.saw_answer(0.05 + 1.0 * max(0, sent - slots) / slots, sent, now + number / sent)
        now += 1.0
    late = at_once[-500:]
    assert 0.8 * slots <= sum(late) / len(late) <= 1.5 * slots


def test_a_burst_and_long_prompts_are_no_standing_queue() -> None:
    limit = Limit(None)
    for turn in range(300):
        for number in range(20):
            ttft_s = 8.0 if number % 2 else 0.05
            limit.saw_answer(ttft_s, 50, turn + number / 20)
    assert limit.value == float("inf")


def test_one_that_has_become_slower_for_good_is_not_held_back() -> None:
    limit = Limit(None)
    for turn in range(400):
        for number in range(10):
            limit.saw_answer(0.05 if turn < 10 else 2.0, 40, turn + number / 10)
    assert limit.value >= 40


def test_a_limit_grows_again_when_there_is_more_room() -> None:
    limit = Limit(None)
    limit.saw_throttled(11, 0.0, 0.0)
    low = limit.value
    for turn in range(200):
        for number in range(20):
            limit.saw_answer([0.05, None][turn % 2], int(limit.value), turn + number / 20)
    assert low <= 10
    assert limit.value > 3 * low


def test_a_burst_of_refusals_is_one_step_down() -> None:
    limit = Limit(None)
    for _ in range(50):
        limit.saw_throttled(100, sent_at=0.0, now=1.0)
    assert limit.value >= 90


def test_a_refusal_takes_even_a_declared_capacity_down_but_nothing_above_it() -> None:
    limit = Limit(10)
    limit.saw_throttled(8, 0.0, 0.0)
    assert limit.value < 8
    for turn in range(500):
        for number in range(20):
            limit.saw_answer(0.05, int(limit.value), turn + number / 20)
    assert limit.value == 10


def test_retry_after_is_honoured() -> None:
    clock = Clock()
    each = balancer(clock, [Member(key="a")])
    ticket = each.try_acquire(Demand())
    assert ticket is not None
    ticket.done(Outcome.THROTTLED, retry_after_s=20.0)
    assert each.snapshot()[0].paused_for_s == 20.0
    clock.advance(19.9)
    assert each.try_acquire(Demand()) is None
    clock.advance(0.2)
    assert each.try_acquire(Demand()) is not None


def test_pauses_grow_while_nothing_is_said_of_their_length() -> None:
    clock = Clock()
    each = balancer(clock, [Member(key="a")])
    pauses = []
    for _ in range(4):
        ticket = each.try_acquire(Demand())
        assert ticket is not None
        ticket.done(Outcome.THROTTLED)
        pauses.append(each.snapshot()[0].paused_for_s)
        clock.advance(pauses[-1])
    assert pauses == [1.0, 2.0, 4.0, 8.0]


def test_no_more_calls_are_sent_than_a_provider_says_are_left() -> None:
    clock = Clock()
    each = balancer(clock, [Member(key="a")])
    first = each.try_acquire(Demand())
    assert first is not None
    limits = RateLimits(requests_limit=60, requests_remaining=3, requests_reset_s=57.0)
    first.done(Outcome.OK, limits=limits)
    sent = 0
    while each.try_acquire(Demand()) is not None:
        sent += 1
    assert sent == 3
    clock.advance(1.1)  # one a second comes back
    assert each.try_acquire(Demand()) is not None
    assert each.try_acquire(Demand()) is None


def test_tokens_of_a_quota_count_too() -> None:
    clock = Clock()
    each = balancer(clock, [Member(key="a"), Member(key="b")])
    demand = Demand(size=1000.0, exclude=frozenset("b"))
    first = each.try_acquire(demand)
    assert first is not None
    limits = RateLimits(tokens_limit=10_000, tokens_remaining=2500, tokens_reset_s=45.0)
    first.done(Outcome.OK, limits=limits)
    assert each.try_acquire(demand) is not None
    assert each.try_acquire(demand) is not None
    assert each.try_acquire(demand) is None
    other = each.try_acquire(Demand(size=1000.0))
    assert other is not None
    assert other.member.key == "b"
