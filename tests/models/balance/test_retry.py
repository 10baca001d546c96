"""A call is made again only where that helps, can be afforded, and is in time."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.models.balance import Balancer, BalanceSettings, Demand, Member, Outcome, Retry
from headrace.models.balance.hedge import Hedge
from headrace.models.balance.retry import RetryBudget
from headrace.models.balance.settings import HedgeSettings, RetrySettings
from tests.models.balance.fleet import Clock, balancer


def box(count: int = 2, **retry: float) -> tuple[Clock, Balancer]:
    clock = Clock()
    settings = BalanceSettings(retry=RetrySettings(**retry))  # type: ignore[arg-type]
    return clock, balancer(clock, [Member(key=f"m{n}") for n in range(count)], settings)


def fail(each: Balancer, retry: Retry, outcome: Outcome = Outcome.FAILED) -> float | None:
    ticket = each.try_acquire(retry.demand)
    assert ticket is not None
    ticket.done(outcome)
    return retry.after(ticket, outcome)


def test_another_one_is_asked_at_once() -> None:
    clock, each = box(3)
    retry = each.retry(Demand(), deadline=clock() + 60)
    assert [fail(each, retry) for _ in range(2)] == [0.0, 0.0]
    assert len({attempt.member for attempt in retry.tried}) == 2


def test_after_all_have_failed_they_are_asked_again_after_a_pause() -> None:
    clock, each = box(2, attempts=10)
    retry = each.retry(Demand(), deadline=clock() + 600)
    pauses = [fail(each, retry) for _ in range(9)]
    assert pauses[0] == 0.0
    assert all(pause is not None for pause in pauses)
    assert 0.0 < max(pause or 0.0 for pause in pauses) <= 5.0
    assert fail(each, retry) is None
    assert {attempt.member for attempt in retry.tried} == {"m0", "m1"}


def test_pauses_are_random_up_to_a_doubling_ceiling() -> None:
    ceilings = [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    drawn: list[list[float]] = [[] for _ in ceilings]
    for seed in range(40):
        clock = Clock()
        each = Balancer(
            [Member(key="a")],
            BalanceSettings(retry=RetrySettings(attempts=9)),
            clock=clock,
            random=Random(seed),
        )
        retry = each.retry(Demand(), deadline=clock() + 600)
        for row in drawn:
            pause = fail(each, retry)
            assert pause is not None
            row.append(pause)
    for row, ceiling in zip(drawn, ceilings, strict=True):
        assert 0.0 <= min(row) < 0.3 * ceiling
        assert 0.7 * ceiling < max(row) <= ceiling


@pytest.mark.parametrize("outcome", [Outcome.OK, Outcome.REFUSED, Outcome.CANCELLED])
def test_what_no_other_would_do_better_is_not_tried_again(outcome: Outcome) -> None:
    clock, each = box()
    assert fail(each, each.retry(Demand(), deadline=clock() + 60), outcome) is None


def test_nothing_is_tried_again_after_the_first_byte() -> None:
    clock, each = box()
    retry = each.retry(Demand(), deadline=clock() + 60)
    ticket = each.try_acquire(retry.demand)
    assert ticket is not None
    ticket.first_byte()
    ticket.done(Outcome.FAILED)
    assert retry.after(ticket, Outcome.FAILED) is None


def test_nothing_is_tried_again_after_the_deadline() -> None:
    clock, each = box()
    retry = each.retry(Demand(), deadline=clock() + 1)
    ticket = each.try_acquire(retry.demand)
    assert ticket is not None
    clock.advance(1.0)
    ticket.done(Outcome.TIMED_OUT)
    assert retry.after(ticket, Outcome.TIMED_OUT) is None
    (attempt,) = retry.tried
    assert (attempt.outcome, attempt.seconds) == (Outcome.TIMED_OUT, 1.0)


def test_what_the_caller_excluded_stays_excluded() -> None:
    clock, each = box(3, attempts=9)
    retry = each.retry(Demand(exclude=frozenset({"m1"})), deadline=clock() + 600)
    while fail(each, retry) is not None:
        pass
    assert {attempt.member for attempt in retry.tried} == {"m0", "m2"}


@given(st.lists(st.sampled_from(["call", "retry", "second"]), max_size=300))
def test_retries_never_exceed_their_share_and_floor(events: list[str]) -> None:
    clock = Clock()
    budget = RetryBudget(RetrySettings(budget=0.2, budget_floor_per_s=1.0), clock)
    calls = spent = seconds = 0
    for event in events:
        if event == "call":
            calls += 1
            budget.called()
        elif event == "second":
            seconds += 1
            clock.advance(1.0)
        else:
            spent += budget.spend()
        assert spent <= 0.2 * calls + 10.0 + seconds + 1e-6


def test_a_budget_refills() -> None:
    clock = Clock()
    budget = RetryBudget(RetrySettings(budget=0.0, budget_floor_per_s=2.0), clock)
    assert sum(budget.spend() for _ in range(100)) == 20
    clock.advance(3.0)
    assert sum(budget.spend() for _ in range(100)) == 6


def test_an_exhausted_budget_ends_retries() -> None:
    clock, each = box(2, attempts=5, budget=0.0, budget_floor_per_s=0.1)
    first, second = (each.retry(Demand(), deadline=clock() + 60) for _ in range(2))
    assert fail(each, first) == 0.0
    assert fail(each, second) is None


def test_calls_that_go_well_earn_retries_for_those_that_do_not() -> None:
    clock, each = box(2, budget=0.2, budget_floor_per_s=0.0)
    for _ in range(50):
        ticket = each.try_acquire(Demand())
        assert ticket is not None
        ticket.done(Outcome.OK)
    pauses = [fail(each, each.retry(Demand(), deadline=clock() + 60)) for _ in range(30)]
    assert pauses.count(None) in range(12, 16)  # 80 calls earn 16 retries, the last ones too late


def test_hedging_is_off_unless_asked_for() -> None:
    hedge = Hedge(HedgeSettings())
    for _ in range(1000):
        hedge.saw_first(1.0)
    assert hedge.delay_s is None
    assert not hedge.spend()


def test_a_second_call_waits_for_the_quantile_and_keeps_to_its_share() -> None:
    hedge = Hedge(HedgeSettings(share=0.05, quantile=0.9))
    sent = 0
    for number in range(10_000):
        hedge.saw_first(number % 100 / 100)
        sent += hedge.spend()
    assert hedge.delay_s == pytest.approx(0.9, abs=0.05)
    assert 450 <= sent <= 510
