"""Calibration: what each threshold would have done, and when no figure can be given."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.models.cache.calibrate import distinct
from headrace.models.cache.calibration import (
    Near,
    agree,
    calibrate,
    check_judge,
    check_traffic,
    near_pairs,
    needed_pairs,
    wilson,
)
from headrace.models.cache.errors import JudgeUnfit, TooLittleTraffic
from headrace.models.cache.traffic import Sample


def sample(question: str, answer: str = "Yes.", *, partition: bytes = b"p") -> Sample:
    return Sample(question=question, answer=answer, partition=partition, repeats=True)


def pairs(count: int, similarity: float, *, wrong: int = 0) -> list[Near]:
    """So many questions near an earlier one; of some the answer was another."""
    return [
        Near(
            sample(f"What about {at}?", f"It is {at}." if at < wrong else "It is so."),
            sample("What?", "It is so."),
            similarity,
        )
        for at in range(count)
    ]


@given(of=st.integers(1, 2000), data=st.data())
def test_the_interval_holds_the_share_and_narrows_with_more(of: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, of))
    low, high = wilson(hits, of)
    assert 0 <= low <= hits / of + 1e-9
    assert hits / of - 1e-9 <= high <= 1
    wider = wilson(hits * 4, of * 4)
    assert wider[1] - wider[0] < high - low


def test_the_interval_is_wilsons() -> None:
    # From Newcombe (1998), Statistics in Medicine 17, table I, method 3.
    for hits, of, low, high in (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0, 0.1611),
    ):
        found = wilson(hits, of)
        assert found[0] == pytest.approx(low, abs=1e-4)
        assert found[1] == pytest.approx(high, abs=1e-4)
    assert wilson(0, 0) == (0.0, 1.0)


@given(max_false=st.floats(0.001, 0.5))
def test_so_many_pairs_are_just_enough(max_false: float) -> None:
    needed = needed_pairs(max_false)
    assert wilson(0, needed)[1] <= max_false + 1e-9
    assert wilson(0, max(needed - 1, 1))[1] >= max_false - 1e-9 or math.isclose(needed, 1)


async def test_the_lowest_threshold_that_is_good_enough_is_suggested() -> None:
    near = [*pairs(500, 0.97), *pairs(100, 0.93), *pairs(50, 0.86, wrong=40)]
    samples = [sample(str(at)) for at in range(1300)]
    found = await calibrate(samples, near, repeated=7, max_false=0.01)
    by_threshold = {each.threshold: each for each in found.levels}
    assert found.suggested == 0.9
    assert (by_threshold[0.97].hits, by_threshold[0.97].false_hits) == (500, 0)
    assert (by_threshold[0.9].hits, by_threshold[0.9].hit_rate) == (600, 600 / 1300)
    assert by_threshold[0.85].false_rate == 40 / 650
    assert by_threshold[0.85].false_low < 40 / 650 < by_threshold[0.85].false_high
    assert by_threshold[0.99].false_rate is None
    assert (found.questions, found.repeated) == (1300, 7)


async def test_where_none_is_good_enough_none_is_suggested() -> None:
    found = await calibrate([], pairs(500, 0.97, wrong=50), repeated=0, max_false=0.01)
    assert found.suggested is None


async def test_too_little_traffic_is_refused_with_what_it_takes() -> None:
    with pytest.raises(TooLittleTraffic, match=r"at most 1\.00% .* takes 381 .* 380 do"):
        await calibrate([], pairs(380, 0.97), repeated=0, max_false=0.01)
    check_traffic(1000, 381, 0.01)


def test_each_question_is_held_against_those_before_it() -> None:
    samples = [
        sample("What is the capital of France?"),
        sample("What is the capital of Spain?"),
        sample("What's the capital of France?"),
        sample("Explain the capital of France", partition=b"another"),
    ]
    (found,) = near_pairs(samples, [[1.0, 0.0], [1.0, 0.1], [1.0, 0.05], [1.0, 0.0]])
    assert (found.later, found.earlier) == (samples[2], samples[0])


def test_a_question_asked_again_word_for_word_is_counted_once() -> None:
    first, again, elsewhere = sample("a", "1"), sample("a", "2"), sample("a", partition=b"q")
    assert distinct([first, again, elsewhere]) == [first, elsewhere]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("The capital of France is Paris.", "the capital of France is Paris", True),
        ("The capital of France is Paris.", "The capital of Spain is Madrid.", False),
        ("It costs 20 euros, with tax.", "It costs 30 euros, with tax.", False),
        ("巴黎。", "巴黎", True),
    ],
)
def test_answers_agree_by_their_words_and_numbers(one: str, other: str, same: bool) -> None:
    assert agree(one, other) is same


KNOWN = [sample(f"What is {at}?", f"It is {at}.") for at in range(20)]


async def right(question: str, answer: str) -> bool:
    return question.split()[-1].strip("?") == answer.split()[-1].strip(".")


async def yes(question: str, answer: str) -> bool:
    return True


async def no(question: str, answer: str) -> bool:
    return False


async def test_a_judge_that_tells_known_pairs_apart_is_believed() -> None:
    await check_judge(right, KNOWN)
    near = [Near(sample("What is 7?", "Seven."), sample("And 7?", "It is 7."), 0.97)] * 400
    found = await calibrate(KNOWN, near, repeated=0, max_false=0.01, judge=right)
    assert found.suggested is not None


@pytest.mark.parametrize("judge", [yes, no])
async def test_a_judge_that_says_the_same_to_all_is_not(judge: object) -> None:
    with pytest.raises(JudgeUnfit, match="says nothing"):
        await check_judge(judge, KNOWN)  # type: ignore[arg-type]  # one of two functions


async def test_a_judge_needs_something_to_be_tried_on() -> None:
    with pytest.raises(TooLittleTraffic):
        await check_judge(right, KNOWN[:5])
