"""Files of rows: JSONL, CSV and Parquet, whole or broken."""

import gzip
import tracemalloc
from pathlib import Path

import pytest

from headrace.datasets import source as source_module
from headrace.datasets.errors import DatasetUnreadable
from headrace.datasets.example import Example
from headrace.datasets.parse import Problem
from headrace.datasets.source import SourceFile, read_file

LINE = b'{"prompt": "Hi", "completion": "Hello"}\n'


def read(path: Path) -> list[Example | Problem]:
    return list(read_file(SourceFile(path)))


def lines_of(rows: list[Example | Problem]) -> list[tuple[int, str]]:
    return [(each.line, each.what) for each in rows if isinstance(each, Problem)]


def test_every_wrong_line_is_reported_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\xef\xbb\xbf" + LINE + b"\n" + b"nonsense\n" + LINE + b'{"prompt": 1}')
    rows = read(path)
    assert [type(each) for each in rows] == [Example, Problem, Example, Problem]
    assert [number for number, _ in lines_of(rows)] == [3, 5]
    assert str(path) in str(rows[1])


def test_a_gzipped_file_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl.gz"
    path.write_bytes(gzip.compress(LINE * 3))
    assert len(read(path)) == 3
    path.write_bytes(gzip.compress(LINE * 3000)[:-20])
    with pytest.raises(DatasetUnreadable):
        read(path)


def test_a_row_without_end_is_left_out_and_the_next_one_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source_module, "LONGEST_ROW", 1000)
    path = tmp_path / "rows.jsonl"
    path.write_bytes(LINE + b"x" * 5000 + b"\n" + LINE)
    rows = read(path)
    assert lines_of(rows) == [(2, "longer than 1,000 bytes")]
    assert isinstance(rows[2], Example)


@pytest.mark.parametrize("data", [b"PAR1\x15\x04", b"\x89PNG\x00\x00"])
def test_what_is_no_text_is_said_at_once(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(data)
    with pytest.raises(DatasetUnreadable):
        read(path)


def test_a_table_in_csv(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('prompt;completion\n"Hi; you";"Hel\nlo"\nonly one\n你好;"你好"\n', "utf-8")
    rows = read(path)
    assert lines_of(rows) == [(2, "1 cells under 2 columns")]
    assert isinstance(rows[0], Example)
    assert rows[0].text() == "Hi; you\nHel\nlo"


def test_a_parquet_file(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "rows.parquet"
    messages = [
        [
            {"role": "user", "content": "Hi", "name": None},
            {"role": "assistant", "content": "Hello", "name": None},
        ],
        [{"role": "user", "content": "Hi", "name": "Ann"}],
    ]
    parquet.write_table(pyarrow.table({"messages": messages}), path)
    rows = read(path)
    assert isinstance(rows[0], Example)
    assert lines_of(rows)[0][0] == 2
    path.write_bytes(b"PAR1 and no more")
    with pytest.raises(DatasetUnreadable):
        read(path)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"".join(LINE.replace(b"Hi", b"Hi %d" % i) for i in range(20_000)))
    tracemalloc.start()
    count = sum(1 for _ in read_file(SourceFile(path)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 20_000
    assert peak < 6 * 1024 * 1024
