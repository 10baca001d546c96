"""Cases from a file."""

from pathlib import Path

import pytest

from headrace.errors import ConfigError
from headrace.prompts.file import Expectation
from headrace.prompts.labelled import read_labelled


@pytest.mark.parametrize(
    ("row", "answer"),
    [
        ('{"prompt": "a", "completion": "b"}', "b"),
        ('{"input": "a", "target": "b", "tags": ["x"]}', "b"),
        ('{"input": "a", "target": 4.0}', "4"),
        ('{"user": "a", "answer": "b"}', "b"),
        ('{"user": "a", "expect": {"equals": "b"}}', "b"),
        ('{"user": "a", "expect": {"contains": ["b"]}}', None),
    ],
)
def test_rows_of_every_form_are_read(tmp_path: Path, row: str, answer: str | None) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text(f"\ufeff{row}\n\n", encoding="utf-8")
    [case] = read_labelled(path)
    assert (case.test.user, case.answer) == ("a", answer)
    assert case.test.expect != Expectation()


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("{", "cases.jsonl:2: "),
        ('{"completion": "b"}', "cases.jsonl:2: the row asks nothing"),
        ('{"prompt": "b"}', "cases.jsonl:2: the row expects nothing"),
        ('{"user": "b", "expect": {"contians": []}}', "cases.jsonl:2: .*contians"),
        ('{"user": "b", "answer": "c", "history": ["x"]}', "cases.jsonl:2: `history` comes in"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, row: str, message: str) -> None:
    path = tmp_path / "cases.jsonl"
    path.write_text('{"prompt": "a", "completion": "b"}\n' + row, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_labelled(path)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        read_labelled(tmp_path / "none.jsonl")
