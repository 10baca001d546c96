"""Intervals hold what they promise, and chance is not called a difference."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.evaluation.statistic import detectable, estimate, mcnemar, paired


def test_an_interval_holds_the_true_mean_about_95_times_in_100() -> None:
    random = np.random.default_rng(7)
    held = 0
    for _ in range(200):
        found = estimate([float(each) for each in random.random(60) < 0.7])
        held += found.low <= 0.7 <= found.high
    assert 178 <= held <= 200


def test_three_right_of_three_are_no_proof() -> None:
    found = estimate([1.0] * 3)
    # 3 / (3 + 1.96²)
    assert (found.mean, found.high) == (1, 1)
    assert found.low == pytest.approx(0.4385, abs=1e-4)


def test_equal_runs_seldom_differ_significantly() -> None:
    random = np.random.default_rng(11)
    runs = [paired(list(random.normal(size=50)), list(random.normal(size=50))) for _ in range(200)]
    assert sum(run.p_value < 0.05 for run in runs) <= 22


def test_a_true_difference_of_the_detectable_size_is_found_4_times_in_5() -> None:
    random = np.random.default_rng(13)
    size = (1.959964 + 0.841621) / math.sqrt(60)
    runs = [paired([0.0] * 60, list(random.normal(size, size=60))) for _ in range(200)]
    assert 140 <= sum(run.p_value < 0.05 for run in runs) <= 185


def test_mcnemar_gives_the_numbers_of_the_binomial() -> None:
    assert mcnemar(0, 5) == pytest.approx(0.0625)
    assert mcnemar(1, 9) == pytest.approx(22 / 1024)
    assert mcnemar(0, 0) == 1.0
    assert mcnemar(0, 5000) == 0.0


def test_right_and_wrong_are_tested_exactly() -> None:
    found = paired([1.0] * 9 + [0.0] * 11, [0.0] * 9 + [1.0] + [0.0] * 10)
    assert found.p_value == pytest.approx(22 / 1024)
    assert found.estimate.mean == pytest.approx(-0.4)


@pytest.mark.parametrize("scores", [[], [math.nan], [math.inf]])
def test_what_has_no_mean_is_refused(scores: list[float]) -> None:
    with pytest.raises(ValueError, match="finite"):
        estimate(scores)


def test_one_case_detects_nothing() -> None:
    assert detectable([0.3]) == math.inf


@given(st.integers(0, 400), st.integers(0, 400))
def test_mcnemar_does_not_care_which_is_the_baseline(lost: int, won: int) -> None:
    assert mcnemar(lost, won) == mcnemar(won, lost)
    assert 0 <= mcnemar(lost, won) <= 1


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_a_run_does_not_differ_from_itself(scores: list[float]) -> None:
    found = paired(scores, scores)
    assert found.p_value == 1.0
    assert found.estimate.mean == 0.0
    assert estimate(scores) == estimate(scores)
