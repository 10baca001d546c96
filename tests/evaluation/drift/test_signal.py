"""What has changed is found, and what has not is left alone."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from headrace.evaluation.drift.signal import (
    LEAST,
    Signal,
    by_category,
    by_meaning,
    by_number,
    judged,
)


def drifted(signal: Signal | None) -> bool:
    assert signal is not None
    (found,) = judged([signal])
    return found.has_drifted


def unit(rows: NDArray[np.float64]) -> NDArray[np.float32]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def test_other_shares_are_found() -> None:
    before = ["en"] * 180 + ["zh"] * 20
    found = by_category("language", before, ["en"] * 60 + ["zh"] * 40)
    assert drifted(found)
    assert found is not None
    assert (found.before, found.now) == ("en 90%, zh 10%", "en 60%, zh 40%")
    assert not drifted(by_category("language", before, ["en"] * 88 + ["zh"] * 12))


def test_a_value_that_is_new_or_gone_is_found() -> None:
    assert drifted(by_category("error", [""] * 200, [""] * 60 + ["timeout"] * 40))
    assert drifted(by_category("error", [""] * 60 + ["timeout"] * 40, [""] * 200))


def test_a_shift_too_small_to_matter_is_no_drift_however_sure_it_is() -> None:
    random = np.random.default_rng(1)
    found = by_number(
        "tokens", list(random.normal(100, 10, 20_000)), list(random.normal(101, 10, 20_000))
    )
    assert found is not None
    assert found.p_value < 0.001
    assert not drifted(found)
    assert drifted(
        by_number("tokens", list(random.normal(100, 10, 500)), list(random.normal(110, 10, 500)))
    )


def test_numbers_that_are_mostly_equal_are_compared() -> None:
    assert not drifted(by_number("cost", [0.0] * 100, [0.0] * 100))
    assert drifted(by_number("cost", [0.0] * 100, [0.0] * 40 + [1.0] * 60))


@pytest.mark.parametrize("count", [0, LEAST - 1])
def test_too_little_traffic_says_nothing(count: int) -> None:
    assert by_category("language", ["en"] * count, ["zh"] * 500) is None
    assert by_number("tokens", [1.0] * 500, [2.0] * count) is None
    assert (
        by_meaning("questions", np.ones((500, 2), np.float32), np.ones((count, 2), np.float32))
        is None
    )


def test_alike_windows_rarely_drift() -> None:
    random = np.random.default_rng(7)
    false = 0
    for seed in range(60):
        words = random.choice(["a", "b", "c", ""], size=160, p=[0.5, 0.3, 0.15, 0.05])
        numbers = random.lognormal(3, 1, 160)
        signals = [
            by_category("words", list(words[:80]), list(words[80:]), seed=seed),
            by_number("numbers", list(numbers[:80]), list(numbers[80:])),
        ]
        false += any(each.has_drifted for each in judged([e for e in signals if e is not None]))
    assert false <= 2


def test_questions_about_something_else_are_found() -> None:
    random = np.random.default_rng(3)
    topics = random.normal(size=(2, 32))

    def asked(topic: int, count: int) -> NDArray[np.float32]:
        return unit(topics[topic] + random.normal(size=(count, 32)))

    assert drifted(by_meaning("questions", asked(0, 60), asked(1, 60)))
    mixed = np.concatenate((asked(0, 40), asked(1, 20)))
    assert drifted(by_meaning("questions", asked(0, 60), mixed))
    assert not drifted(by_meaning("questions", asked(0, 60), asked(0, 60)))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_adjusting_keeps_the_order_and_never_makes_surer(values: list[float]) -> None:
    made = [
        Signal(name=str(at), kind="number", effect=1.0, p_value=p, before="", now="")
        for at, p in enumerate(values)
    ]
    found = {each.name: each.p_value for each in judged(made)}
    assert all(found[each.name] >= each.p_value for each in made)
    assert max(found.values()) <= 1.0
    for one in made:
        for two in made:
            if one.p_value <= two.p_value:
                assert found[one.name] <= found[two.name]
    # The surest of all is as Bonferroni has it.
    assert min(found.values()) == pytest.approx(min(1.0, min(values) * len(values)))


@settings(max_examples=40)
@given(
    st.lists(st.sampled_from("abcde"), min_size=LEAST, max_size=60),
    st.lists(st.sampled_from("abcde"), min_size=LEAST, max_size=60),
)
def test_every_change_has_a_size_and_a_chance(one: list[str], two: list[str]) -> None:
    found = by_category("x", one, two)
    assert found is not None
    assert found.effect >= 0
    assert 0 < found.p_value <= 1
    same = by_category("x", one, one)
    assert same is not None
    assert same.effect == pytest.approx(0, abs=1e-12)
    assert same.p_value == 1
