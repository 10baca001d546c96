"""What a test's expectations hold an answer against."""

import pytest

from headrace.prompts.expect import failures
from headrace.prompts.file import Expectation


@pytest.mark.parametrize(
    ("expect", "answer", "wrong"),
    [
        (Expectation(contains=["Paris"]), "It is PARIS.", None),
        (Expectation(contains=["Paris"]), "Rome", "does not contain 'Paris'"),
        (Expectation(excludes=["rome"]), "Rome", "contains 'rome'"),
        (Expectation(any_of=["a", "b"]), "B", None),
        (Expectation(any_of=["a", "b"]), "C", "contains none of 'a', 'b'"),
        (Expectation(matches=r"\d{2}"), "7", r"does not match \d{2}"),
        (Expectation(equals="delivery"), " Delivery. ", None),
        (Expectation(equals="delivery"), "delivery maybe", "is not 'delivery'"),
        (Expectation(language="zh"), "en", "is in en, not in zh"),
        (Expectation(min_chars=3), " a ", "has 1 characters, fewer than 3"),
        (Expectation(max_chars=3), "abcd", "has 4 characters, more than 3"),
        (Expectation(max_sentences=1), "One. Two.", "has 2 sentences, more than 1"),
        (Expectation(max_sentences=1), "It costs 3.50 euros.", None),
        (Expectation(max_sentences=1), "一。二。", "has 2 sentences, more than 1"),
        (Expectation(schema={"type": "object"}), "{}", None),
        (Expectation(schema={"type": "object"}), "{", "not JSON"),
        (Expectation(schema={"type": "object"}), "[]", "does not conform: "),
    ],
)
def test_an_answer_is_held_against_it(expect: Expectation, answer: str, wrong: str | None) -> None:
    found = failures(answer, expect, language_of=lambda text: text.strip() or None)
    assert (found == []) if wrong is None else (len(found) == 1 and found[0].startswith(wrong))
