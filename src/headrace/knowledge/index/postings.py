"""Postings: for each term the rows that hold it, and how often. BM25 over arrays.

Terms are 64-bit hashes in order, so that a file mapped into memory is the dictionary. A new version
is made of the old one's arrays and of the new rows, without reading a kept text again.
"""

from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from headrace.knowledge.index.term import query_terms, term_hash, terms

__all__ = ["K1", "Postings", "mapped", "rarity"]

K1, B = 1.2, 0.75
"""As Lucene has them."""
_MOST_TIMES = 255


@dataclass(frozen=True, slots=True)
class Postings:
    """The terms of N rows."""

    terms: NDArray[np.uint64]
    """(T,), in order."""
    begins: NDArray[np.int64]
    """(T + 1,): where each term's rows begin."""
    rows: NDArray[np.int32]
    """(P,), in order for each term."""
    times: NDArray[np.uint8]
    """(P,): how often the term is there, at most 255."""
    lengths: NDArray[np.int32]
    """(N,): terms of each row."""

    @classmethod
    def empty(cls) -> Self:
        return cls(
            np.zeros(0, np.uint64),
            np.zeros(1, np.int64),
            np.zeros(0, np.int32),
            np.zeros(0, np.uint8),
            np.zeros(0, np.int32),
        )

    def changed(self, kept: NDArray[np.int64], texts: Iterable[str]) -> "Postings":
        """Those of the `kept` rows, in that (rising) order, then of `texts`."""
        place = np.full(len(self.lengths), -1, np.int32)
        place[kept] = np.arange(len(kept), dtype=np.int32)
        rows = place[self.rows]
        stays = rows >= 0
        owners = np.repeat(self.terms, np.diff(self.begins))[stays]
        new_owners, new_rows, new_times, new_lengths = _counted(texts, len(kept))
        owners = np.concatenate([owners, new_owners])
        rows = np.concatenate([rows[stays], new_rows])
        times = np.concatenate([self.times[stays], new_times])
        # Stable, and made for runs that are sorted already: kept rows stay before new ones.
        order = np.argsort(owners, kind="stable")
        found, firsts = np.unique(owners[order], return_index=True)
        return Postings(
            found,
            np.append(firsts, len(owners)).astype(np.int64),
            rows[order],
            times[order],
            np.concatenate([self.lengths[kept], new_lengths]),
        )

    def norms(self) -> NDArray[np.float32]:
        """(N,): what a row's length adds below the line of BM25."""
        average = float(self.lengths.mean()) if len(self.lengths) else 1.0
        made: NDArray[np.float32] = (K1 * (1 - B + B * self.lengths / max(average, 1))).astype(
            np.float32
        )
        return made

    def scores(self, query: str, norms: NDArray[np.float32]) -> NDArray[np.float32]:
        """(N,): BM25 of every row; 0 where no term of the query is."""
        total = len(self.lengths)
        found = np.zeros(total, np.float32)
        hashes = np.array([term_hash(each) for each in query_terms(query)], np.uint64)
        for hashed, at in zip(hashes, np.searchsorted(self.terms, hashes), strict=True):
            if at == len(self.terms) or self.terms[at] != hashed:
                continue
            begin, end = self.begins[at], self.begins[at + 1]
            rows = self.rows[begin:end]
            times = self.times[begin:end].astype(np.float32)
            worth = rarity(total, len(rows)) * np.float32(K1 + 1)
            found[rows] += worth * times / (times + norms[rows])
        return found

    def save(self, folder: Path) -> None:
        """Write the arrays, one file each."""
        for field in fields(self):
            np.save(folder / f"{field.name}.npy", getattr(self, field.name))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The arrays, mapped into memory: processes share them."""
        return cls(*(mapped(folder / f"{field.name}.npy") for field in fields(cls)))


def rarity(total: int, having: int) -> np.float32:
    """What a term tells that so many of all rows have."""
    return np.float32(np.log1p((total - having + 0.5) / (having + 0.5)))


def mapped(path: Path) -> NDArray:  # type: ignore[type-arg]  # what the file holds
    """An array of a file; mapped, unless it is empty, which cannot be."""
    try:
        return np.asarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except ValueError:
        return np.asarray(np.load(path, allow_pickle=False))


def _counted(
    texts: Iterable[str], first: int
) -> tuple[NDArray[np.uint64], NDArray[np.int32], NDArray[np.uint8], NDArray[np.int32]]:
    """The terms of new rows: hash, row and times of each, and each row's length."""
    owners, rows, times, lengths = array("Q"), array("i"), array("B"), array("i")
    for row, text in enumerate(texts, first):
        counts = Counter(map(term_hash, terms(text)))
        owners.extend(counts)
        rows.extend([row] * len(counts))
        times.extend(_capped(counts.values()))
        lengths.append(counts.total())
    return (
        np.array(owners, np.uint64),
        np.array(rows, np.int32),
        np.array(times, np.uint8),
        np.array(lengths, np.int32),
    )


def _capped(counts: Iterable[int]) -> Sequence[int]:
    return [min(each, _MOST_TIMES) for each in counts]
