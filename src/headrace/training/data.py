"""The examples of a fine-tune: from wherever they lie, each with the place it is from."""

import gzip
import hashlib
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import IO, cast

import msgspec

from headrace.config.database import database_setting
from headrace.config.node import load_yaml
from headrace.datasets.example import Example
from headrace.datasets.guarantee import Guarantee, guarantee_of
from headrace.datasets.overlap import OverlapFinder
from headrace.datasets.parse import Problem, RowInvalid, parse_row
from headrace.datasets.source import SourceFile, read_file
from headrace.datasets.split import DEFAULT_SHARES, split_of
from headrace.datasets.store import DatasetStore
from headrace.datasets.upload import FileStore
from headrace.errors import HeadraceError
from headrace.privacy.budget import Ledger
from headrace.privacy.vault import Vault
from headrace.storage.database import Database
from headrace.training.errors import TrainingInvalid

__all__ = ["Data", "Row", "Sources", "cases_of", "overlaps", "read_data"]

DATASET, UPLOAD = "dataset:", "upload:"
DATABASE = "state.db"
"""In the home; `server.state.DATABASE_FILE`, which this layer cannot import."""


@dataclass(frozen=True, slots=True)
class Row:
    """An example and where it stands."""

    where: str
    example: Example


@dataclass(slots=True)
class Data:
    """What a reference names."""

    reference: str
    digest: str
    """Of the dataset version or of the file, `sha256:…`."""
    rows: list[Row] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """`FILE:LINE: what (fix)` of each row that cannot be used."""
    guarantee: Guarantee | None = None
    """What is promised of the people in a dataset."""
    ledger: Ledger | None = None
    """What was told of them, and may be; None: it is no dataset."""


class Sources:
    """Opens what references name. The database is opened only for what lies behind it."""

    def __init__(self, root: Path, home: Path, environ: Mapping[str, str] = os.environ) -> None:
        self._root = root
        self._home = home
        self._environ = environ

    def read(self, reference: str) -> Data:
        """Everything that a reference names.

        Raises:
            UnknownDataset, NotFound, DatasetUnreadable: it names nothing that can be read.
        """
        if reference.startswith(DATASET):
            return self._dataset(reference)
        if reference.startswith(UPLOAD):
            return self._upload(reference)
        return self._file(reference)

    def _file(self, reference: str) -> Data:
        path = (self._root / Path(reference).expanduser()).resolve()
        if not path.is_file():
            raise TrainingInvalid(
                f"there is no file {reference}", hint="a file, dataset:NAME or upload:FILE_ID"
            )
        source = SourceFile(path)
        data = Data(reference, f"sha256:{source.digest()}")
        shown = path.name
        for line, row in zip(_lines(path), read_file(source), strict=False):
            if isinstance(row, Problem):
                fix = f" ({row.fix})" if row.fix else ""
                data.problems.append(f"{shown}:{row.line}: {row.what}{fix}")
            else:
                data.rows.append(Row(f"{shown}:{line}", row))
        return data

    def _dataset(self, reference: str) -> Data:
        name, _, split = reference.removeprefix(DATASET).partition("#")
        if split and split not in DEFAULT_SHARES:
            known = ", ".join(DEFAULT_SHARES)
            raise TrainingInvalid(
                f"{reference}: there is no split {split!r}", hint=f"it is one of {known}"
            )
        with self._state() as (database, vault):
            store = DatasetStore(database, vault, self._home)
            version = store.get(name)
            ledger = store.ledger(version)
            data = Data(
                f"{DATASET}{version.reference}" + (f"#{split}" if split else ""),
                version.digest,
                guarantee=guarantee_of(version, ledger),
                ledger=ledger,
            )
            rows = store.rows(version, split=split or None)
            data.rows = [Row(f"{version.reference}:{at}", row) for at, row in enumerate(rows, 1)]
        return data

    def _upload(self, reference: str) -> Data:
        with self._state() as (database, vault):
            store = FileStore(database, vault, self._home)
            file = store.get(reference.removeprefix(UPLOAD), None)
            data = Data(reference, f"sha256:{file.digest}")
            for number, line in enumerate(store.lines(file), 1):
                if not line.strip():
                    continue
                try:
                    data.rows.append(Row(f"{file.name}:{number}", parse_row(line)))
                except RowInvalid as invalid:
                    fix = f" ({invalid.fix})" if invalid.fix else ""
                    data.problems.append(f"{file.name}:{number}: {invalid.what}{fix}")
        return data

    @contextmanager
    def _state(self) -> Iterator[tuple[Database, Vault]]:
        where: str | Path | None = database_setting(self._root, self._environ)
        if where is None:
            where = self._home / DATABASE
            if not where.exists():
                raise TrainingInvalid(
                    f"there is no service state in {self._home}, so there are no datasets",
                    hint="`headrace data add NAME FILE` makes one",
                )
        database = Database.open(where)
        try:
            yield database, Vault.open(database, self._home, environ=self._environ)
        finally:
            database.close()


def _lines(path: Path) -> Iterator[int]:
    """The line of each row that `read_file` gives: it passes over empty ones in silence."""
    if path.suffix.lower() in (".csv", ".tsv", ".parquet"):
        yield from count(1)
        return
    with path.open("rb") as raw:
        is_gzip = raw.read(2) == b"\x1f\x8b"
        raw.seek(0)
        file = cast("IO[bytes]", gzip.GzipFile(fileobj=raw) if is_gzip else raw)
        for number, line in enumerate(file, 1):
            if not line.removeprefix(b"\xef\xbb\xbf" if number == 1 else b"").isspace():
                yield number


def read_data(
    sources: Sources, training: str, validation: str | None, validation_share: float
) -> tuple[Data, Data | None]:
    """The examples to train on and those held out.

    A row that stands in both is taken out of those to train on: else its loss would say nothing.
    """
    data = sources.read(training)
    if validation is not None:
        held_out = sources.read(validation)
        known = {each.example.group for each in held_out.rows}
        data.rows = [each for each in data.rows if each.example.group not in known]
        return data, held_out
    if not validation_share:
        return data, None
    shares = {"train": 1.0 - validation_share, "validation": validation_share}
    digest = hashlib.sha256(f"{data.digest} {validation_share}".encode()).hexdigest()
    held_out = Data(f"{data.reference} (held out)", f"sha256:{digest}")
    kept: list[Row] = []
    for row in data.rows:
        is_kept = split_of(row.example.group, shares) == "train"
        (kept if is_kept else held_out.rows).append(row)
    data.rows = kept
    return data, held_out


def overlaps(rows: Sequence[Row], suites: Sequence[Path]) -> list[str]:
    """Rows that give away what a suite asks, as `FILE:LINE: …`.

    Raises:
        TrainingInvalid: a suite cannot be read.
    """
    finder = OverlapFinder(
        (f"{suite.name} case {at}", text)
        for suite in suites
        for at, text in enumerate(cases_of(suite), 1)
    )
    found: list[str] = []
    for row in rows:
        hit = finder.find_in(row.example.text())
        if hit is not None:
            found.append(f"{row.where}: gives away {hit[0]}")
    return found


def cases_of(suite: Path) -> Iterator[str]:
    """What a suite asks: of its YAML file the inputs of the cases; of JSONL, CSV and Parquet the text
    of the rows, which may be cases too.

    Raises:
        TrainingInvalid: it cannot be read. What was passed over would be held for clean.
    """
    try:
        if suite.suffix not in (".yaml", ".yml"):
            yield from _asked(suite)
            return
        # As the suite itself is read: not every reader of YAML takes what another one does.
        written = load_yaml(suite, os.environ).convert(_Cases)
        for each in written.cases:
            yield each.text
        for name in written.files:
            # Files of cases lie below the service's folder, suites in its `evals/`.
            yield from _asked(suite.parent.parent / name)
    except (OSError, HeadraceError) as error:
        why = error.message if isinstance(error, HeadraceError) else error.strerror
        raise TrainingInvalid(
            f"the suite {suite} cannot be read: {why}",
            hint="a file of evals/, or rows as a dataset has them",
        ) from error


def _asked(path: Path) -> Iterator[str]:
    """Of rows, or of cases, a line each."""
    if path.suffix != ".jsonl":
        for row in read_file(SourceFile(path)):
            if isinstance(row, Problem):
                raise TrainingInvalid(str(row))
            yield row.text()
        return
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        if not line.strip():
            continue
        try:
            yield msgspec.json.decode(line, type=_Case).text
        except msgspec.MsgspecError:
            try:
                yield parse_row(line).text()
            except RowInvalid as invalid:
                raise TrainingInvalid(f"{path.name}:{number}: {invalid.what}") from invalid


class _Case(msgspec.Struct):
    """A case of a suite, as far as it is asked."""

    input: str | list[str]

    @property
    def text(self) -> str:
        return self.input if isinstance(self.input, str) else "\n".join(self.input)


class _Cases(msgspec.Struct):
    """A suite likewise."""

    scorers: list[object]
    """Tells it from other files."""
    cases: list[_Case] = []
    files: list[str] = []
