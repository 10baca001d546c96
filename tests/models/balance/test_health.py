"""Sick deployments are out soon and back soon, and there is always one to try."""

import itertools

import pytest

from headrace.models.balance import Balancer, BalanceSettings, Demand, Member, Outcome
from headrace.models.balance.health import HealthState
from tests.models.balance.fleet import Clock, Fleet, Upstream, balancer

OUT_S = 2.0
BACK_S = 5.0


def fleet(count: int = 2, *, every_s: float = 0.05, streamed: bool = True) -> Fleet:
    clock = Clock()
    names = [f"m{number}" for number in range(count)]
    return Fleet(
        clock,
        balancer(clock, [Member(key=name) for name in names]),
        {name: Upstream() for name in names},
        every_s,
        streamed=streamed,
    )


def health_of(each: Balancer, key: str) -> HealthState:
    return next(member.health for member in each.snapshot() if member.key == key)


@pytest.mark.parametrize("count", [2, 5, 40])
def test_one_that_fails_is_out_within_two_seconds_and_no_call_fails(count: int) -> None:
    load = fleet(count, every_s=0.1 / count)
    load.run(5.0)
    load.upstreams["m0"].failing = 1.0
    broke_at = load.clock.now
    load.run(20.0)
    assert load.picked("m0", after=broke_at + OUT_S) == []
    assert load.failed == 0


@pytest.mark.parametrize(("count", "out_s"), [(2, 1.0), (2, 7.3), (2, 200.0), (5, 30.0), (40, 7.3)])
def test_one_that_has_recovered_is_back_within_five_seconds(count: int, out_s: float) -> None:
    load = fleet(count, every_s=0.1 / count)
    load.run(5.0)
    load.upstreams["m0"].failing = 1.0
    load.run(out_s)
    load.upstreams["m0"].failing = 0.0
    mended_at = load.clock.now
    load.run(BACK_S + 3.0)
    back = load.picked("m0", after=mended_at)
    assert back
    assert back[0] - mended_at <= BACK_S
    assert health_of(load.balancer, "m0") is HealthState.HEALTHY


@pytest.mark.parametrize("streamed", [True, False])
@pytest.mark.parametrize("count", [2, 5, 20])
def test_one_that_freezes_is_out_within_two_seconds(count: int, streamed: bool) -> None:
    load = fleet(count, every_s=0.1 / count, streamed=streamed)
    load.run(70.0)  # how long it is usually silent has been learned
    load.upstreams["m0"].is_frozen = True
    froze_at = load.clock.now
    load.run(60.0)
    assert load.picked("m0", after=froze_at + OUT_S) == []
    load.upstreams["m0"].is_frozen = False
    thawed_at = load.clock.now
    load.run(BACK_S + 3.0)
    back = load.picked("m0", after=thawed_at)
    assert back
    assert back[0] - thawed_at <= BACK_S
    assert load.failed == 0


def test_calls_to_a_frozen_one_are_answered_by_another() -> None:
    load = fleet(2)
    load.run(70.0)
    load.upstreams["m0"].is_frozen = True
    load.run(100.0)
    load.upstreams["m0"].is_frozen = False
    load.run(30.0)
    load.clock.advance(60.0)
    assert load.failed == 0
    assert load.answered == len(load.picks) - load.retried


def test_one_that_fails_every_other_call_is_out() -> None:
    load = fleet(3, every_s=0.02)
    load.run(5.0)
    load.upstreams["m0"].failing = 0.7
    load.run(5.0)
    assert health_of(load.balancer, "m0") is not HealthState.HEALTHY
    assert load.failed == 0


def test_a_few_failures_do_not_put_one_out() -> None:
    load = fleet(2, every_s=0.02)
    load.upstreams["m0"].failing = 0.02
    load.run(60.0)
    assert health_of(load.balancer, "m0") is HealthState.HEALTHY
    assert load.failed == 0


def test_a_slow_one_gets_few_calls_and_is_forgiven() -> None:
    load = fleet(2)
    load.run(10.0)
    load.upstreams["m0"].ttft_s = 2.0
    slow_at = load.clock.now
    load.run(30.0)
    late = load.picked("m0", after=slow_at + OUT_S)
    assert len(late) < 0.1 * len(load.picked("m1", after=slow_at + OUT_S))
    load.upstreams["m0"].ttft_s = 0.05
    load.run(30.0)
    again = load.clock.now
    load.run(10.0)
    assert len(load.picked("m0", after=again)) > 50


def test_only_one_call_at_a_time_goes_to_see_whether_it_has_recovered() -> None:
    clock = Clock()
    each = balancer(clock, [Member(key="a"), Member(key="b")])
    eject(each, "a")
    clock.advance(1.0)
    first, *rest = [each.try_acquire(Demand()) for _ in range(10)]
    assert first is not None
    assert (first.member.key, first.is_probe, first.reason) == ("a", True, "probe")
    assert {ticket.member.key for ticket in rest if ticket is not None} == {"b"}


def test_a_retry_is_not_used_as_a_probe() -> None:
    clock = Clock()
    each = balancer(clock, [Member(key=key) for key in "abc"])
    eject(each, "a")
    clock.advance(1.0)
    ticket = each.try_acquire(Demand(exclude=frozenset({"b"})))
    assert ticket is not None
    assert ticket.member.key == "c"


def test_probes_come_less_often_while_they_fail_but_every_three_seconds() -> None:
    load = fleet(2)
    load.upstreams["m0"].failing = 1.0
    load.run(60.0)
    probes = load.picked("m0", after=0.0, probes=True)[-8:]
    gaps = [after - before for before, after in itertools.pairwise(probes)]
    assert all(3.0 <= gap <= 3.2 for gap in gaps)


def test_when_all_are_out_one_is_tried_all_the_same() -> None:
    clock = Clock()
    each = balancer(clock, [Member(key="a"), Member(key="b")])
    eject(each, "a")
    eject(each, "b")
    first = each.try_acquire(Demand())
    assert first is not None
    assert first.reason == "all are out"
    second = each.try_acquire(Demand(exclude=frozenset({first.member.key})))
    assert second is not None
    assert second.member.key != first.member.key


def test_an_answer_while_all_are_out_brings_one_back() -> None:
    clock = Clock()
    each = balancer(clock, [Member(key="a"), Member(key="b")])
    eject(each, "a")
    eject(each, "b")
    ticket = each.try_acquire(Demand())
    assert ticket is not None
    ticket.done(Outcome.OK)
    assert health_of(each, ticket.member.key) is HealthState.HEALTHY


def test_a_refused_key_puts_one_out_at_once_and_for_longer() -> None:
    clock = Clock()
    each = balancer(clock, [Member(key="a"), Member(key="b")])
    take(each, "a", Outcome.MISCONFIGURED, "401: no such key")
    (a, _) = each.snapshot()
    assert a.is_misconfigured
    assert a.ejected_for_s == BalanceSettings().health.misconfigured_s
    assert a.errors[-1].text == "401: no such key"
    assert a.errors[-1].outcome is Outcome.MISCONFIGURED


@pytest.mark.parametrize("outcome", [Outcome.REFUSED, Outcome.CANCELLED, Outcome.THROTTLED])
def test_what_is_not_its_fault_does_not_put_one_out(outcome: Outcome) -> None:
    clock = Clock()
    each = balancer(clock, [Member(key="a"), Member(key="b")])
    for _ in range(20):
        take(each, "a", outcome)
        clock.advance(100.0)
    assert health_of(each, "a") is HealthState.HEALTHY


def test_answers_to_older_calls_do_not_bring_one_back() -> None:
    clock = Clock()
    each = balancer(clock, [Member(key="a"), Member(key="b")])
    older = [each.try_acquire(Demand(exclude=frozenset("b"))) for _ in range(3)]
    clock.advance(0.1)
    eject(each, "a")
    for ticket in older:
        assert ticket is not None
        ticket.done(Outcome.OK)
    assert health_of(each, "a") is HealthState.EJECTED


def test_a_frozen_one_whose_callers_have_all_gone_is_not_taken_for_well() -> None:
    clock = Clock()
    each = balancer(clock, [Member(key="a"), Member(key="b")])
    ticket = each.try_acquire(Demand(exclude=frozenset("b")))
    assert ticket is not None
    clock.advance(120.0)
    ticket.done(Outcome.CANCELLED)
    assert health_of(each, "a") is HealthState.EJECTED


def eject(each: Balancer, key: str) -> None:
    while health_of(each, key) is HealthState.HEALTHY:
        take(each, key, Outcome.FAILED)


def take(each: Balancer, key: str, outcome: Outcome, error: str = "") -> None:
    others = frozenset(member.key for member in each.snapshot()) - {key}
    ticket = each.try_acquire(Demand(exclude=others))
    assert ticket is not None
    ticket.done(outcome, error=error)


def test_a_whole_answer_is_awaited_no_longer_where_nothing_comes_any_more() -> None:
    clock = Clock()
    each = balancer(clock, [Member(key="a"), Member(key="b")], BalanceSettings(prefer="order"))
    whole = Demand(streamed=False)
    for _ in range(20):
        ticket = each.try_acquire(whole)
        assert ticket is not None
        clock.advance(1.0)
        ticket.done(Outcome.OK)
    lost, other = each.try_acquire(whole), each.try_acquire(whole)
    assert lost is not None
    assert other is not None
    for _ in range(20):
        clock.advance(1.0)
        other.heard()  # it works on something else, so this one may just take long
        assert not lost.is_hopeless
    clock.advance(20.0)
    assert lost.is_hopeless
    lost.first_byte()
    assert not lost.is_hopeless


def test_the_only_deployment_is_never_hopeless() -> None:
    clock = Clock()
    ticket = balancer(clock, [Member(key="a")]).try_acquire(Demand())
    assert ticket is not None
    clock.advance(1000.0)
    assert not ticket.is_hopeless
