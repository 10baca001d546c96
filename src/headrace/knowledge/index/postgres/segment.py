"""Segments: the terms of the chunks that one version brought, as arrays in a few rows.

A version brings one more segment; when there are many, the smallest become one, and so do those of
which less than half is left. Which of a segment's chunks still count is known from their documents.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from headrace.knowledge.index.postgres.schema import ALIVE, Connection
from headrace.knowledge.index.postings import Postings

__all__ = ["MOST_SEGMENTS", "Segment", "read_segments", "write_segment"]

MOST_SEGMENTS = 12
"""A search asks each for its terms."""
_MERGED = 8
"""How many become one."""


@dataclass(frozen=True, slots=True, eq=False)
class Segment:
    """Whose chunks they are, and how long."""

    number: int
    chunks: NDArray[np.int64]
    documents: NDArray[np.int64]
    lengths: NDArray[np.int32]

    @classmethod
    def of(cls, row: Sequence[object]) -> Self:
        number, chunks, documents, lengths = row
        assert isinstance(number, int)
        assert isinstance(chunks, bytes)
        assert isinstance(documents, bytes)
        assert isinstance(lengths, bytes)
        return cls(
            number,
            np.frombuffer(chunks, "<i8"),
            np.frombuffer(documents, "<i8"),
            np.frombuffer(lengths, "<i4"),
        )


def read_segments(database: Connection, version: int) -> list[Segment]:
    """Those of a version, oldest first."""
    rows = database.execute(
        f"SELECT id, chunks, documents, lengths FROM segment WHERE {ALIVE} ORDER BY id",
        {"version": version},
        binary=True,
    )
    return [Segment.of(row) for row in rows]


def write_segment(
    database: Connection,
    version: int,
    number: int,
    chunks: NDArray[np.int64],
    documents: NDArray[np.int64],
    texts: Iterable[str],
) -> None:
    """Add a version's new chunks; merge the smallest segments if there are too many."""
    fresh = Postings.empty().changed(np.zeros(0, np.int64), texts)
    living = _living(database, version)
    merged = _to_merge(read_segments(database, version), living)
    for each in merged:
        database.execute("UPDATE segment SET died = %s WHERE id = %s", (version, each.number))
    if merged:
        fresh, chunks, documents = _joined(database, living, merged, fresh, chunks, documents)
    if not len(chunks):
        return
    database.execute(
        "INSERT INTO segment VALUES (%s, %s, NULL, %s, %s, %s)",
        (
            number,
            version,
            chunks.astype("<i8").tobytes(),
            documents.astype("<i8").tobytes(),
            fresh.lengths.astype("<i4").tobytes(),
        ),
    )
    with database.cursor().copy("COPY posting FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(["int8", "int8", "bytea", "bytea"])
        rows, times = fresh.rows.astype("<i4").tobytes(), fresh.times.tobytes()
        terms = fresh.terms.view(np.int64).tolist()
        begins = fresh.begins.tolist()
        for term, begin, end in zip(terms, begins, begins[1:], strict=False):
            copy.write_row((number, term, rows[4 * begin : 4 * end], times[begin:end]))


def _living(database: Connection, version: int) -> NDArray[np.int64]:
    rows = database.execute(f"SELECT id FROM document WHERE {ALIVE}", {"version": version})
    return np.array([row[0] for row in rows], np.int64)


def _to_merge(known: Sequence[Segment], living: NDArray[np.int64]) -> list[Segment]:
    left = {each.number: int(np.isin(each.documents, living).sum()) for each in known}
    merged = [each for each in known if 2 * left[each.number] < len(each.chunks)]
    rest = [each for each in known if each not in merged]
    if len(rest) >= MOST_SEGMENTS:
        merged += sorted(rest, key=lambda each: left[each.number])[:_MERGED]
    return merged


def _joined(
    database: Connection,
    living: NDArray[np.int64],
    merged: Sequence[Segment],
    fresh: Postings,
    chunks: NDArray[np.int64],
    documents: NDArray[np.int64],
) -> tuple[Postings, NDArray[np.int64], NDArray[np.int64]]:
    """What is left of some segments, and the new chunks behind it, as one."""
    owners, rows, times, lengths = [], [], [], []
    kept_chunks, kept_documents = [], []
    first = 0
    for each in merged:
        stays = np.isin(each.documents, living)
        place = np.where(stays, np.cumsum(stays) - 1 + first, -1)
        for term, its_rows, its_times in database.execute(
            "SELECT term, rows, times FROM posting WHERE segment = %s", (each.number,), binary=True
        ):
            found = place[np.frombuffer(its_rows, "<i4")]
            there = found >= 0
            owners.append(np.full(int(there.sum()), term, np.int64).view(np.uint64))
            rows.append(found[there].astype(np.int32))
            times.append(np.frombuffer(its_times, np.uint8)[there])
        lengths.append(each.lengths[stays])
        kept_chunks.append(each.chunks[stays])
        kept_documents.append(each.documents[stays])
        first += int(stays.sum())
    owners.append(np.repeat(fresh.terms, np.diff(fresh.begins)))
    rows.append(fresh.rows + np.int32(first))
    times.append(fresh.times)
    all_owners = np.concatenate(owners)
    order = np.argsort(all_owners, kind="stable")
    found_terms, firsts = np.unique(all_owners[order], return_index=True)
    return (
        Postings(
            found_terms,
            np.append(firsts, len(all_owners)).astype(np.int64),
            np.concatenate(rows)[order],
            np.concatenate(times)[order],
            np.concatenate([*lengths, fresh.lengths]),
        ),
        np.concatenate([*kept_chunks, chunks]),
        np.concatenate([*kept_documents, documents]),
    )
