"""The datasets of a service: added to, read, compared. Rows are sealed, versions never change.

Adding makes a new version that shares the segments of the one before. It counts once the database
names it: a process that is killed before leaves files that nobody names, and no half version.
"""

import hashlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
from sqlalchemy import RowMapping, func, insert, select

from headrace.datasets.errors import UnknownDataset
from headrace.datasets.example import Example
from headrace.datasets.guarantee import Anonymity
from headrace.datasets.known import KnownRows
from headrace.datasets.parse import Problem
from headrace.datasets.segment import (
    Segment,
    SegmentWriter,
    count_of_subject,
    read_index,
    read_segment,
)
from headrace.datasets.split import split_of
from headrace.datasets.version import Manifest, Origin, Reference, Version, ledger_of
from headrace.privacy.budget import Ledger
from headrace.privacy.vault import Vault
from headrace.storage.database import Database
from headrace.storage.tables import dataset_versions

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["FOLDER", "Added", "DatasetDiff", "DatasetStore"]

FOLDER = "datasets"
"""In the home."""
LEDGERS = "budgets"
"""In the folder."""
_SEGMENT_ROWS = 50_000
_BATCH_ROWS = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What adding rows came to."""

    version: Version
    rows: int
    duplicates: int
    """Rows that the dataset had, or that came twice."""
    is_new: bool
    """False: nothing was new, so `version` is the one that was there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetDiff:
    """What differs between two versions; the ids are those of examples."""

    added: list[str]
    removed: list[str]
    kept: int


class DatasetStore:
    """See the module. Reads and writes files and the database: not for an event loop."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        home: Path,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._vault = vault
        self._folder = home / FOLDER
        self._clock = clock

    def newest(self) -> list[Version]:
        """The newest version of every dataset, by name."""
        newest = (
            select(dataset_versions.c.name, func.max(dataset_versions.c.number).label("number"))
            .group_by(dataset_versions.c.name)
            .subquery()
        )
        query = (
            select(dataset_versions)
            .join(
                newest,
                (dataset_versions.c.name == newest.c.name)
                & (dataset_versions.c.number == newest.c.number),
            )
            .order_by(dataset_versions.c.name)
        )
        with self._database.read() as connection:
            return [_version(row) for row in connection.execute(query).mappings()]

    def versions(self, name: str) -> list[Version]:
        """Every version of a dataset, newest first.

        Raises:
            UnknownDataset: there is none of that name.
        """
        found = self._versions(Reference.parse(name).name)
        if not found:
            raise UnknownDataset.named(name, [each.name for each in self.newest()])
        return found

    def _versions(self, name: str) -> list[Version]:
        query = (
            select(dataset_versions)
            .where(dataset_versions.c.name == name)
            .order_by(dataset_versions.c.number.desc())
        )
        with self._database.read() as connection:
            return [_version(row) for row in connection.execute(query).mappings()]

    def get(self, reference: str) -> Version:
        """The version that `NAME`, `NAME@3` or `NAME@sha256:…` names.

        Raises:
            UnknownDataset: there is none, or a digest's beginning fits several.
        """
        wanted = Reference.parse(reference)
        versions = self.versions(wanted.name)
        if wanted.number is None and not wanted.digest:
            return versions[0]
        fitting = [
            each
            for each in versions
            if each.number == wanted.number
            or (wanted.digest and each.digest.startswith(wanted.digest))
        ]
        if not fitting:
            raise UnknownDataset(
                f"{wanted.name!r} has no version {reference.partition('@')[2]}",
                hint=f"`headrace data list {wanted.name}` shows {len(versions)}",
            )
        if len({each.digest for each in fitting}) > 1:
            raise UnknownDataset(f"{reference!r} fits several versions", hint="write more of it")
        return fitting[0]

    def add(
        self,
        name: str,
        examples: Iterable[Example | Problem],
        *,
        what: str,
        digest: str = "",
        problems: Callable[[Problem], None] | None = None,
        anonymity: Anonymity | None = None,
    ) -> Added:
        """A new version with these rows behind those of the newest one.

        Args:
            what, digest: of the source, for the version's list of origins.
            problems: told of each row that is wrong and so left out; absent: they raise nothing
                and are counted.
            anonymity: what holds of these rows together. The version has them alone then: of rows
                that came in parts it would not hold.

        Raises:
            UnknownDataset: that cannot be a name.
            DatasetUnreadable: the source, or what is there already, cannot be read.
            OSError: the disk is full; there is no new version then.
        """
        name = Reference.parse(name).name
        before = next(iter(self._versions(name)), None)
        kept = before if anonymity is None else None
        adding = _Adding(self._folder, self._vault, owner_of(name), self._indices(kept))
        try:
            for row in examples:
                if isinstance(row, Problem):
                    adding.refused += 1
                    if problems is not None:
                        problems(row)
                else:
                    adding.take(row)
            adding.finish()
        except BaseException:
            adding.abandon()
            raise
        if kept is not None and not adding.rows:
            return Added(version=kept, rows=0, duplicates=adding.duplicates, is_new=False)
        origin = Origin(
            what=what,
            digest=digest,
            rows=adding.rows,
            duplicates=adding.duplicates,
            refused=adding.refused,
        )
        number = 1 if before is None else before.number + 1
        version = self._published(name, number, kept, adding, origin, anonymity)
        return Added(version=version, rows=adding.rows, duplicates=adding.duplicates, is_new=True)

    def rows(
        self,
        version: Version,
        *,
        split: str | None = None,
        shares: Mapping[str, float] | None = None,
    ) -> Iterator[Example]:
        """The examples in order, but for those of people whose data was erased.

        Args:
            split: only this one's; `shares` as for `split_of`.

        Raises:
            DatasetUnreadable: a segment is gone or was changed.
        """
        for segment in version.manifest.segments:
            rows = read_segment(segment, self._folder, self._vault)
            if split is None:
                yield from (each for each in rows if each is not None)
                continue
            groups = read_index(segment, self._folder)["group"].tolist()
            for example, group in zip(rows, groups, strict=True):
                inside = split_of(group, shares) if shares is not None else split_of(group)
                if example is not None and inside == split:
                    yield example

    def ledger(self, version: Version) -> Ledger:
        """What was published of the people in a version, or of others of `ledger_of(version)`."""
        path = self._folder / LEDGERS / f"{ledger_of(version)}.jsonl"
        return Ledger(path, clock=self._clock)

    def erased(self, version: Version) -> int:
        """Rows that nobody can read any more, because their subject's key was destroyed."""
        return sum(
            each is None
            for segment in version.manifest.segments
            for each in read_segment(segment, self._folder, self._vault)
        )

    def of_subject(self, subject: str) -> dict[str, int]:
        """Rows about a person in the newest version of each dataset that has any, by reference.

        Args:
            subject: the vault's subject id.
        """
        found: dict[str, int] = {}
        for version in self.newest():
            count = sum(
                count_of_subject(each, self._folder, subject) for each in version.manifest.segments
            )
            if count:
                found[version.reference] = count
        return found

    def split_sizes(self, version: Version, shares: Mapping[str, float]) -> dict[str, int]:
        """Rows by split, from the indices alone."""
        sizes = dict.fromkeys(shares, 0)
        for index in self._indices(version):
            for group in index["group"].tolist():
                sizes[split_of(group, shares)] += 1
        return sizes

    def diff(self, old: Version, new: Version) -> DatasetDiff:
        """What `new` has and `old` has not, and the other way round; by id, not by place."""
        import numpy as np

        empty = np.empty(0, dtype=[("id", ">u8"), ("rest", ">u8")])

        def ids(version: Version) -> "NDArray[np.void]":
            parts = [each[["id", "rest"]] for each in self._indices(version)]
            return np.unique(np.concatenate(parts)) if parts else empty

        before, after = ids(old), ids(new)
        added, removed = np.setdiff1d(after, before), np.setdiff1d(before, after)
        return DatasetDiff(
            added=[_hex(each) for each in added.tolist()],
            removed=[_hex(each) for each in removed.tolist()],
            kept=len(after) - len(added),
        )

    def find(self, version: Version, ids: Iterable[str]) -> Iterator[Example]:
        """The examples of these ids, in the dataset's order."""
        wanted = set(ids)
        return (each for each in self.rows(version) if each.id in wanted)

    def _indices(self, version: Version | None) -> "list[NDArray[np.void]]":
        segments = version.manifest.segments if version is not None else []
        return [read_index(each, self._folder) for each in segments]

    def _published(
        self,
        name: str,
        number: int,
        kept: Version | None,
        adding: "_Adding",
        origin: Origin,
        anonymity: Anonymity | None,
    ) -> Version:
        old = kept.manifest if kept is not None else None
        kinds = Counter(old.kinds if old is not None else {}) + adding.kinds
        manifest = Manifest(
            segments=[*(old.segments if old is not None else ()), *adding.segments],
            origins=[*(old.origins if old is not None else ()), origin],
            kinds=dict(kinds),
            anonymity=anonymity,
        )
        version = Version(
            name=name,
            number=number,
            digest=self._digest(manifest.segments),
            rows=sum(each.rows for each in manifest.segments),
            manifest=manifest,
            created_at=self._clock(),
        )
        row = {**msgspec.structs.asdict(version), "manifest": msgspec.json.encode(manifest)}
        with self._database.write() as connection:
            connection.execute(insert(dataset_versions), row)
        return version

    def _digest(self, segments: Iterable[Segment]) -> str:
        found = hashlib.sha256(b"headrace dataset 1\n")
        for each in segments:
            index = read_index(each, self._folder)
            found.update(index[["id", "rest"]].tobytes() if len(index) else b"")
        return f"sha256:{found.hexdigest()}"


class _Adding:
    """Rows on their way into segments."""

    def __init__(
        self, folder: Path, vault: Vault, owner: str, indices: "list[NDArray[np.void]]"
    ) -> None:
        self._folder, self._vault, self._owner = folder, vault, owner
        self._known = KnownRows(indices)
        self._batch: list[Example] = []
        self._writer: SegmentWriter | None = None
        self.segments: list[Segment] = []
        self.kinds: Counter[str] = Counter()
        self.rows = self.duplicates = self.refused = 0

    def take(self, example: Example) -> None:
        self._batch.append(example)
        if len(self._batch) == _BATCH_ROWS:
            self._flush()

    def finish(self) -> None:
        self._flush()
        self._close()

    def abandon(self) -> None:
        if self._writer is not None:
            self._writer.abandon()

    def _flush(self) -> None:
        ids = [bytes.fromhex(each.id) for each in self._batch]
        for example, row_id, is_new in zip(self._batch, ids, self._known.add_new(ids), strict=True):
            if not is_new:
                self.duplicates += 1
                continue
            if self._writer is None:
                self._writer = SegmentWriter(self._folder, self._vault, self._owner)
            self._writer.add(example, row_id)
            self.rows += 1
            self.kinds[example.kind] += 1
            if self._writer.rows == _SEGMENT_ROWS:
                self._close()
        self._batch.clear()

    def _close(self) -> None:
        if self._writer is not None:
            self.segments.append(self._writer.close())
            self._writer = None


def owner_of(name: str) -> str:
    """The subject under which rows of a dataset are sealed that are about nobody."""
    return f"dataset:{name}"


def _version(row: RowMapping) -> Version:
    return Version(
        name=row["name"],
        number=row["number"],
        digest=row["digest"],
        rows=row["rows"],
        manifest=msgspec.json.decode(row["manifest"], type=Manifest),
        created_at=row["created_at"],
    )


def _hex(halves: tuple[int, int]) -> str:
    return f"{halves[0]:016x}{halves[1]:016x}"
