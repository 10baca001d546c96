"""Rules of a rollout, and the test that may be looked at after every turn."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ConfigError
from headrace.releases.evidence import ALPHA
from headrace.releases.sequential import evidence
from headrace.releases.watch import RULES, Rule


@pytest.mark.parametrize(
    ("text", "what", "most", "limit_s"),
    [
        ("error_rate<1%", "error_rate", 0.01, 0.0),
        (" error_rate <= 0.05 ", "error_rate", 0.05, 0.0),
        ("blocked_rate<20%", "blocked_rate", 0.2, 0.0),
        ("ttft_p95<0.5s", "ttft", 0.05, 0.5),
        ("ttft_p50<300ms", "ttft", 0.5, 0.3),
        ("duration_p99<20s", "duration", 0.01, 20.0),
        ("good_feedback>=80%", "good_feedback", 0.2, 0.0),
        ("score>=0.8", "good_feedback", 0.2, 0.0),
    ],
)
def test_a_rule_is_a_share_that_must_not_be_passed(
    text: str, what: str, most: float, limit_s: float
) -> None:
    rule = Rule.parse(text)
    assert (rule.what, rule.limit_s) == (what, limit_s)
    assert rule.most == pytest.approx(most)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "error_rate",
        "error_rate>1%",
        "errorrate<1%",
        "ttft<0.5s",
        "ttft_p95<1%",
        "error_rate<0%",
        "error_rate<100%",
        "good_feedback<80%",
        "error_rate_p95<1%",
        "error_rate<1% and more",
    ],
)
def test_what_is_no_rule_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Rule.parse(text)
    assert RULES[0] in caught.value.hint


def test_looking_often_does_not_lie() -> None:
    """As long as the claim holds the evidence reaches the bar in no more than 5 % of rollouts."""
    draw = random.Random(7)
    bar = math.log(1 / ALPHA)
    false_alarms = 0
    for _ in range(200):
        bad = 0
        for total in range(1, 301):
            bad += draw.random() < 0.05
            if total % 5 == 0 and evidence(bad, total, 0.05) >= bar:
                false_alarms += 1
                break
    assert false_alarms <= 0.05 * 200 + 3 * math.sqrt(0.05 * 0.95 * 200)


def test_a_release_that_is_much_worse_is_found_soon() -> None:
    bar = math.log(1 / ALPHA)
    assert evidence(3, 3, 0.01) >= bar
    assert evidence(10, 40, 0.05) >= bar
    assert evidence(2, 40, 0.05) < bar
    assert evidence(0, 0, 0.05) == -math.inf


@given(st.integers(1, 300), st.data(), st.floats(0.001, 0.9))
def test_more_bad_ones_are_more_evidence(total: int, data: st.DataObject, most: float) -> None:
    bad = data.draw(st.integers(0, total - 1))
    assert evidence(bad, total, most) <= evidence(bad + 1, total, most)
