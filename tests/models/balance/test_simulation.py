"""The simulation of bench/balancing, in small: Headrace is ahead of every usual rule."""

import pytest
from bench.balancing.simulate import OURS, RULES, simulate
from bench.balancing.world import WorldSettings

SETTINGS = WorldSettings(servers=60, requests=8_000, healthy_s=150.0, deadline_s=300.0)


@pytest.mark.parametrize("rule", RULES)
def test_the_tail_is_shorter_and_goodput_higher_than_with_the_usual_rules(rule: str) -> None:
    ours, rival = simulate(SETTINGS, OURS), simulate(SETTINGS, rule, ejects=True)
    assert ours.p99_s < rival.p99_s
    assert ours.goodput > rival.goodput


def test_what_a_policy_does_changes_nothing_about_the_world() -> None:
    assert simulate(SETTINGS, OURS).p99_s == simulate(SETTINGS, OURS).p99_s
