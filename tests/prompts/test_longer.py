"""Cutting a text in parts."""

from hypothesis import given
from hypothesis import strategies as st

from headrace.prompts.longer import cut


def words(text: str) -> int:
    return max(1, len(text) // 3)


@given(
    text=st.lists(
        st.sampled_from(["word", "长句子。", "\n\n", "\n", " ", "End. ", "x" * 200, "，"]),
        max_size=80,
    ).map("".join),
    most=st.integers(2, 40),
)
def test_parts_are_short_enough_and_lose_nothing_but_space(text: str, most: int) -> None:
    parts = cut(text, most, words)
    assert all(words(part) <= most for part in parts)
    assert "".join("".join(parts).split()) == "".join(text.split())


def test_a_text_is_cut_between_paragraphs_if_it_can_be() -> None:
    text = "One. Two.\n\nThree. Four.\n\nFive."
    assert cut(text, 8, words) == ["One. Two.\n\nThree. Four.", "Five."]


def test_chinese_is_cut_between_sentences() -> None:
    assert cut("大桥封闭维修。公交车绕行哈比镇。", 3, words) == [
        "大桥封闭维修。",
        "公交车绕行哈比镇。",
    ]
