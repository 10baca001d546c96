"""Scores that compare texts, in any language."""

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st

from headrace.evaluation.text import bleu, chrf, contains, exact, numeric, regex, rouge_l, words


def test_case_width_and_white_space_do_not_count() -> None:
    assert exact(" PARIS\n", "paris") == 1
    assert exact("ＡＢＣ", "abc") == 1
    assert exact("Paris.", "Paris") == 0
    assert contains("It is  in\nParis.", "in paris") == 1
    assert regex("order 42", r"\d{2}$") == 1


@pytest.mark.parametrize(
    ("answer", "score"),
    [
        ("3 + 4 = 1,007.5", 1),
        ("１００７.５", 1),
        ("−1007.5", 0),
        ("none", 0),
        ("1007.5 of 2000", 0),
    ],
)
def test_the_last_number_is_the_answer(answer: str, score: float) -> None:
    assert numeric(answer, 1007.5) == score


def test_a_tolerance_is_absolute() -> None:
    assert numeric("about 3.1", 3.14, tolerance=0.05) == 1
    assert numeric("about 3.0", 3.14, tolerance=0.05) == 0


def test_chinese_is_counted_by_sign_and_korean_by_word() -> None:
    assert words("我爱 GPT-4 模型。") == ["我", "爱", "gpt", "4", "模", "型"]
    assert words("한국어 모델") == ["한국어", "모델"]


def test_rouge_l_is_the_f1_of_the_common_subsequence() -> None:
    assert rouge_l("police killed the gunman", "police kill the gunman") == pytest.approx(0.75)
    assert rouge_l("今天天气好", "今天天气很好") == pytest.approx(10 / 11)


def test_chrf_by_hand() -> None:
    # Orders 1 and 2: 1 of 2 signs, 0 of 1 pairs, on both sides.
    assert chrf("ab", "ac") == pytest.approx(0.25)


@given(st.text(max_size=40), st.text(max_size=40))
def test_scores_stay_between_nothing_and_all(one: str, two: str) -> None:
    for score in (exact, contains, rouge_l, chrf, bleu):
        assert 0 <= score(one, two) <= 1 + 1e-9
        assert score(one, one) == pytest.approx(1)


SENTENCE = st.lists(
    st.sampled_from(
        ["the", "cat", "sat", "on", "a", "mat", "under", "我", "爱", "猫", "forty-two"]
    ),
    min_size=1,
)


@given(SENTENCE, SENTENCE)
def test_chrf_and_bleu_are_sacrebleus(one: list[str], two: list[str]) -> None:
    answer, target = " ".join(one), " ".join(two)
    theirs = sacrebleu.sentence_chrf(answer, [target]).score / 100
    assert chrf(answer, target) == pytest.approx(theirs, abs=1e-9)
    tokens = " ".join(words(answer)), [" ".join(words(target))]
    theirs = sacrebleu.sentence_bleu(*tokens, tokenize="none").score / 100
    assert bleu(answer, target) == pytest.approx(theirs, abs=1e-9)
