"""Listed words and phrases, in scripts with and without spaces."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.screening.detectors.term import TermDetector, fold

DETECTOR = TermDetector(
    {
        "rivals": ["Acme", "Acme Corp", "dark horse", "e-mail bomb"],
        "abuse": ["坏人", "bad", "badge", "Ёлка"],
    }
)


def found(text: str) -> list[str]:
    return [text[span.start : span.end] for span in DETECTOR.detect(text)]


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("ACME and acme.", ["ACME", "acme"]),
        ("the Acme Corp. says", ["Acme Corp"]),
        ("a dark  horse, dark-horse, DARK_HORSE", ["dark  horse", "dark-horse", "DARK_HORSE"]),
        ("an e mail bomb", ["e mail bomb"]),
        ("他是坏人吗", ["坏人"]),
        ("说bad话", ["bad"]),
        ("bad badge", ["bad", "badge"]),
        ("Ａｃｍｅ", ["Ａｃｍｅ"]),
        ("Асmе in Cyrillic letters", ["Асmе"]),
        ("ёлка", ["ёлка"]),
    ],
)
def test_terms_are_found(text: str, terms: list[str]) -> None:
    assert found(text) == terms


@pytest.mark.parametrize(
    "text", ["acmeist", "placme", "bade", "forbad", "坏", "dark     horse", "dark\n\n\n\nhorse"]
)
def test_parts_of_words_are_left_alone(text: str) -> None:
    assert found(text) == []


def test_each_list_is_a_kind() -> None:
    assert DETECTOR.kinds == ("term.rivals", "term.abuse")
    assert [span.kind for span in DETECTOR.detect("acme bad")] == ["term.rivals", "term.abuse"]


def test_a_term_on_two_lists_is_found_twice() -> None:
    both = TermDetector({"a": ["x1"], "b": ["X1"]})
    assert [span.kind for span in both.detect("x1")] == ["term.a", "term.b"]


@given(st.text())
def test_folding_keeps_every_offset(text: str) -> None:
    assert len(fold(text)) == len(text)


@given(
    terms=st.lists(
        st.text("abc- 坏", min_size=1, max_size=6).filter(
            # A space stands for three characters at most.
            lambda term: term.strip(" -") and not re.search("[ -]{4}", term)
        ),
        min_size=1,
    )
)
def test_every_term_is_found_in_itself(terms: list[str]) -> None:
    detector = TermDetector({"list": terms})
    for term in terms:
        spans = list(detector.detect(f"({term})"))
        assert spans, term
