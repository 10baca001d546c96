"""Words: BM25 of every row of a version, from the postings of the terms that are asked for.

What a term gives to each row is reckoned once and kept, as long as there is room: questions share
their most frequent words, and those are the long ones.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from headrace.knowledge.index.postgres.schema import Connection
from headrace.knowledge.index.postings import K1, Postings, rarity
from headrace.knowledge.index.term import query_terms, term_hash

__all__ = ["Words"]

_KEPT_BYTES = 64 * 1024 * 1024
_DENSE = 4
"""A term that more than one row in four has is added to all of them: far faster than picking."""


@dataclass(frozen=True, slots=True)
class _Term:
    """What a term gives."""

    rows: NDArray[np.int32] | None
    """To which rows; None: to each of all."""
    worth: NDArray[np.float32]

    def size(self) -> int:
        return self.worth.nbytes + (0 if self.rows is None else self.rows.nbytes) + 200


class Words:
    """The terms of one version, on the server. Threads may share it."""

    def __init__(self, places: Mapping[int, NDArray[np.int64]], lengths: NDArray[np.int32]) -> None:
        """
        Args:
            places: for each segment, the row of each of its chunks; -1: it has none any more.
            lengths: (N,): terms of each row.
        """
        self._places = places
        self._norms = replace(Postings.empty(), lengths=lengths).norms()
        self._terms: OrderedDict[int, _Term] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def scores(self, database: Connection, query: str) -> NDArray[np.float32]:
        """(N,): BM25 of every row; 0 where no term of the query is."""
        made = np.zeros(len(self._norms), np.float32)
        terms = sorted({term_hash(each) for each in query_terms(query)})
        found = self._found(database, terms)
        for term in terms:
            gives = found[term]
            if gives.rows is None:
                made += gives.worth
            else:
                made[gives.rows] += gives.worth
        return made

    def _found(self, database: Connection, terms: Sequence[int]) -> dict[int, _Term]:
        with self._lock:
            found = {term: self._terms[term] for term in terms if term in self._terms}
            for term in found:
                self._terms.move_to_end(term)
        missing = np.array([term for term in terms if term not in found], np.uint64)
        if not len(missing):
            return found
        rows: dict[int, list[NDArray[np.int64]]] = {int(term): [] for term in missing}
        times: dict[int, list[NDArray[np.uint8]]] = {int(term): [] for term in missing}
        for signed, segment, its_rows, its_times in database.execute(
            "SELECT term, segment, rows, times FROM posting"
            " WHERE segment = ANY(%s) AND term = ANY(%s)",
            (list(self._places), missing.view(np.int64).tolist()),
            binary=True,
        ):
            term = signed % 2**64
            places = self._places[segment][np.frombuffer(its_rows, "<i4")]
            there = places >= 0
            rows[term].append(places[there])
            times[term].append(np.frombuffer(its_times, np.uint8)[there])
        for term in rows:
            found[term] = self._term(
                np.concatenate([*rows[term], np.zeros(0, np.int64)]),
                np.concatenate([*times[term], np.zeros(0, np.uint8)]),
            )
            self._keep(term, found[term])
        return found

    def _term(self, rows: NDArray[np.int64], times: NDArray[np.uint8]) -> _Term:
        often = times.astype(np.float32)
        total = len(self._norms)
        worth = rarity(total, len(rows)) * np.float32(K1 + 1) * often / (often + self._norms[rows])
        if _DENSE * len(rows) <= total:
            return _Term(rows.astype(np.int32), worth)
        every = np.zeros(total, np.float32)
        every[rows] = worth
        return _Term(None, every)

    def _keep(self, term: int, gives: _Term) -> None:
        with self._lock:
            before = self._terms.pop(term, None)
            self._bytes += gives.size() - (before.size() if before is not None else 0)
            self._terms[term] = gives
            while self._bytes > _KEPT_BYTES and len(self._terms) > 1:
                _, dropped = self._terms.popitem(last=False)
                self._bytes -= dropped.size()
