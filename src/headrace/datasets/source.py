"""Files of rows: JSONL (also gzipped), CSV and Parquet, read row by row in constant memory."""

import csv
import gzip
import hashlib
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from headrace.datasets.errors import DatasetUnreadable
from headrace.datasets.example import Example
from headrace.datasets.parse import Problem, RowInvalid, parse_object, parse_row

__all__ = ["LONGEST_ROW", "SourceFile", "read_file"]

LONGEST_ROW = 16 * 1024 * 1024
"""Bytes of one line; a longer one is no example, and would not fit a model."""
_PARQUET = b"PAR1"


@dataclass(slots=True)
class SourceFile:
    """One file while it is read."""

    path: Path
    read_bytes: int = 0
    """As far as it has come, for a progress bar."""

    @property
    def size(self) -> int:
        return self.path.stat().st_size

    def digest(self) -> str:
        """SHA-256 of the file, in hex."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()


def read_file(source: SourceFile) -> Iterator[Example | Problem]:
    """Every row in order: an example, or what is wrong with it.

    Raises:
        DatasetUnreadable: the file cannot be opened, or is of no known format.
    """
    path = source.path
    suffix = path.suffix.lower()
    try:
        if suffix == ".parquet":
            yield from _parquet(source)
        elif suffix in (".csv", ".tsv"):
            yield from _csv(source, "\t" if suffix == ".tsv" else None)
        else:
            yield from _jsonl(source)
    except (OSError, EOFError, zlib.error) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise DatasetUnreadable(
            f"{path}: {why}", hint="check the file's name and rights"
        ) from error


def _jsonl(source: SourceFile) -> Iterator[Example | Problem]:
    with _opened(source) as file:
        line_number = 0
        while line := file.readline(LONGEST_ROW + 1):
            line_number += 1
            if line_number == 1:
                if line.startswith(_PARQUET):
                    raise DatasetUnreadable(
                        f"{source.path} is a Parquet file", hint="give it the ending .parquet"
                    )
                if b"\x00" in line[:4096]:
                    raise DatasetUnreadable(
                        f"{source.path} is no text", hint="a dataset is JSONL, CSV or Parquet"
                    )
                line = line.removeprefix(b"\xef\xbb\xbf")
            if len(line) > LONGEST_ROW and not line.endswith(b"\n"):
                yield _problem(
                    source, line_number, RowInvalid(f"longer than {LONGEST_ROW:,} bytes")
                )
                while line and not line.endswith(b"\n"):
                    line = file.readline(LONGEST_ROW)
                continue
            if line.isspace():
                continue
            try:
                yield parse_row(line)
            except RowInvalid as invalid:
                yield _problem(source, line_number, invalid)


@contextmanager
def _opened(source: SourceFile) -> Iterator[BinaryIO]:
    with source.path.open("rb") as raw:
        is_gzip = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        counted = io.BufferedReader(_Counting(raw, source), 1 << 20)
        yield cast(BinaryIO, gzip.GzipFile(fileobj=counted)) if is_gzip else counted


class _Counting(io.RawIOBase):
    """Says how far the file has been read."""

    def __init__(self, raw: BinaryIO, source: SourceFile) -> None:
        self._raw = raw
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        count = self._raw.readinto(buffer)  # type: ignore[attr-defined]
        self._source.read_bytes += count
        return int(count)


def _csv(source: SourceFile, delimiter: str | None) -> Iterator[Example | Problem]:
    csv.field_size_limit(LONGEST_ROW)
    with _opened(source) as raw:
        text = io.TextIOWrapper(cast("io.BufferedReader", raw), "utf-8-sig", newline="")
        head = text.readline()
        try:
            dialect = csv.Sniffer().sniff(head, ",;\t|") if delimiter is None else None
            comma = dialect.delimiter if dialect is not None else delimiter or ","
        except csv.Error:
            comma = ","
        names = next(csv.reader([head], delimiter=comma), [])
        rows = csv.reader(text, delimiter=comma, strict=True)
        number = 0
        while True:
            number += 1
            try:
                cells = next(rows)
            except StopIteration:
                return
            except csv.Error as error:
                yield _problem(source, number, RowInvalid(f"not CSV: {error}"))
                continue
            except UnicodeDecodeError:
                yield _problem(
                    source, number, RowInvalid("not UTF-8 from here on", "save the file as UTF-8")
                )
                return
            if not cells:
                continue
            if len(cells) != len(names):
                invalid = RowInvalid(f"{len(cells)} cells under {len(names)} columns")
                yield _problem(source, number, invalid)
                continue
            yield _of_object(source, number, dict(zip(names, cells, strict=True)))


def _parquet(source: SourceFile) -> Iterator[Example | Problem]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise DatasetUnreadable(
            f"{source.path}: reading Parquet needs pyarrow",
            hint="pip install 'headrace[parquet]', or convert the file to JSONL",
        ) from None
    number = 0
    try:
        file = parquet.ParquetFile(source.path)
        for batch in file.iter_batches(batch_size=1024):
            for row in batch.to_pylist():
                number += 1
                yield _of_object(source, number, _without_nulls(row))
            source.read_bytes = source.size * number // max(1, file.metadata.num_rows)
    except ArrowException as error:
        raise DatasetUnreadable(f"{source.path}: {error}", hint="is it a Parquet file?") from error


def _without_nulls(value: object) -> object:
    """Parquet writes every field of every message; those that are null were not said."""
    if isinstance(value, dict):
        return {key: _without_nulls(each) for key, each in value.items() if each is not None}
    if isinstance(value, list):
        return [_without_nulls(each) for each in value]
    return value


def _of_object(source: SourceFile, number: int, value: object) -> Example | Problem:
    assert isinstance(value, dict)
    try:
        return parse_object(value)
    except RowInvalid as invalid:
        return _problem(source, number, invalid)


def _problem(source: SourceFile, line: int, invalid: RowInvalid) -> Problem:
    return Problem(file=str(source.path), line=line, what=invalid.what, fix=invalid.fix)
