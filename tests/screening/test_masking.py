"""Placeholders: made once, read back however a model writes them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.screening.masking import MaskTable
from headrace.screening.placeholder import find_placeholders, pending_placeholder, placeholder_name


def test_equal_values_share_a_placeholder_and_kinds_count_by_themselves() -> None:
    table = MaskTable()
    values = [("email", "a@b.co"), ("email", "c@d.co"), ("phone", "1"), ("email", "a@b.co")]
    made = [table.placeholder(*each) for each in values]
    assert made == ["<EMAIL_1>", "<EMAIL_2>", "<PHONE_1>", "<EMAIL_1>"]


@given(st.lists(st.tuples(st.sampled_from(["email", "term.bad-words", "x1"]), st.text(max_size=5))))
def test_every_placeholder_gives_its_own_value_back(values: list[tuple[str, str]]) -> None:
    table = MaskTable()
    made = [(table.placeholder(kind, value), value) for kind, value in values]
    assert all(table.value(placeholder) == value for placeholder, value in made)
    for placeholder, _ in made:
        (written,) = find_placeholders(f"a {placeholder}b")
        assert written.placeholder == placeholder


def test_a_placeholder_that_is_in_the_text_already_is_not_given_out() -> None:
    table = MaskTable()
    table.reserve(["see <EMAIL_1> and [email_2]"])
    assert table.placeholder("email", "a@b.co") == "<EMAIL_3>"


WRITTEN = [
    "<EMAIL_1>", "<email_1>", "<EMAIL 1>", "<EMAIL-1>", "<EMAIL1>", r"<EMAIL\_1>", r"\<EMAIL_1\>",
    "&lt;EMAIL_1&gt;", "＜EMAIL_1＞", "《EMAIL_1》", "[EMAIL_1]", "【EMAIL_1】", "<EMAIL_1 ",
]  # fmt: skip


@pytest.mark.parametrize("written", WRITTEN)
def test_a_damaged_placeholder_is_still_read(written: str) -> None:
    assert [each.placeholder for each in find_placeholders(f"to {written}.")] == ["<EMAIL_1>"]


@pytest.mark.parametrize("written", WRITTEN)
def test_a_placeholder_is_waited_for_from_its_first_character(written: str) -> None:
    for size in range(1, len(written.rstrip(" ")) - 1):
        text = "to " + written[:size]
        assert pending_placeholder(text, 0, {"EMAIL"}) == 3, text


@pytest.mark.parametrize("text", ["EMAIL_1", "a < b", "<b>", "[1]", "<EMAIL_>", "[EMAIL 1]"])
def test_other_texts_are_no_placeholders(text: str) -> None:
    assert list(find_placeholders(text)) == []


@pytest.mark.parametrize("text", ["if a < b", "<div", "[see", "List<int", "a[0", "《红楼梦"])
def test_brackets_that_begin_something_else_do_not_wait(text: str) -> None:
    assert pending_placeholder(text, 0, {"EMAIL", "PHONE"}) == len(text)


def test_names_of_kinds_are_capital_letters() -> None:
    assert [placeholder_name(kind) for kind in ("term.bad-words", "x1", "坏")] == [
        "TERM_BAD_WORDS", "X", "VALUE",
    ]  # fmt: skip
