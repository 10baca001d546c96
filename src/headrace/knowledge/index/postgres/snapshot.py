"""A snapshot of the index on PostgreSQL: one version, searched where it lies.

In memory is what every row has in few bytes: its document, its length, who may read it. The terms
of a query come from the server as arrays and give the same BM25 as the embedded index; terms that
come again are kept. Vectors stay on the server: it gives the nearest, and then whatever could still
be better by its words, so the result is the best of all rows. Only where an HNSW index finds the
nearest may it miss one.
"""

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from headrace.knowledge.errors import KnowledgeUnusable
from headrace.knowledge.index.best import best_rows
from headrace.knowledge.index.found import CHUNKS, Best, Found, Readable
from headrace.knowledge.index.postgres.pool import Pool
from headrace.knowledge.index.postgres.schema import ALIVE, Connection, guarded, hnsw_name
from headrace.knowledge.index.postgres.segment import Segment, read_segments
from headrace.knowledge.index.postings import Postings
from headrace.knowledge.index.term import query_terms, term_hash

__all__ = ["PostgresSnapshot"]

NEAREST = 100
"""Rows that are asked for by meaning, and at a time by words."""
MOST_BY_WORDS = 1600
"""Rows that are asked for by words at most."""
EXACT_ROWS = 5_000
"""So few readable rows are all looked at: an index would go through too many that are not."""
_TERMS_BYTES = 64 * 1024 * 1024


class PostgresSnapshot:
    """Everything of one version. The server keeps it as long as it is open."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.version, self.embedder = pool.version, pool.embedder
        segments: list[Segment] = []
        documents: list[tuple[int, str, str]] = []
        self._width, self._has_index = 0, False
        if pool.number:
            with pool.connection() as database:
                segments = read_segments(database, pool.number)
                documents = database.execute(
                    f"SELECT id, readers, metadata FROM document WHERE {ALIVE}",
                    {"version": pool.number},
                ).fetchall()
                self._width = _width(database, pool.number)
                self._has_index = _has_index(database, self._width)
        self._take_rows(segments, np.array([row[0] for row in documents], np.int64))
        self._readable = Readable(self._documents)
        self._readable.learn(documents)
        self._norms = replace(Postings.empty(), lengths=self._lengths).norms()
        self._terms: OrderedDict[int, tuple[NDArray[np.int32], NDArray[np.uint8]]] = OrderedDict()
        self._terms_bytes = 0
        self._lock = threading.Lock()

    @classmethod
    def open(cls, server: str, connections: int = 1) -> "PostgresSnapshot":
        """The newest version; an empty one where there is none yet.

        Raises:
            KnowledgeUnusable: it cannot be read.
        """
        with guarded():
            pool = Pool(server, connections)
            try:
                return cls(pool)
            except BaseException:
                pool.close()
                raise

    def _take_rows(self, segments: Sequence[Segment], alive: NDArray[np.int64]) -> None:
        """The rows in the order of their chunks, and where each segment's are among them."""
        self._segments: dict[int, NDArray[np.int64]] = {}
        chunks = _joined([each.chunks for each in segments], np.int64)
        documents = _joined([each.documents for each in segments], np.int64)
        lengths = _joined([each.lengths for each in segments], np.int32)
        counts = np.flatnonzero(np.isin(documents, alive))
        order = counts[np.argsort(chunks[counts], kind="stable")]
        place = np.full(len(chunks), -1, np.int64)
        place[order] = np.arange(len(order))
        self._chunks, self._documents = chunks[order], documents[order]
        self._lengths = lengths[order].astype(np.int32)
        at = 0
        for each in segments:
            self._segments[each.number] = place[at : at + len(each.chunks)]
            at += len(each.chunks)

    def __len__(self) -> int:
        return len(self._chunks)

    def close(self) -> None:
        """Let go of it. Nothing may be searching."""
        self._pool.close()

    def best(
        self,
        query: str,
        vector: NDArray[np.float32] | None,
        *,
        weight: float,
        count: int,
        roles: AbstractSet[str],
        filters: Mapping[str, str] | None,
    ) -> Best:
        """See `Index` and the module."""
        readable = self._readable.mask(roles, filters)
        with guarded(), self._pool.connection() as database:
            words = self._words(database, query)
            best = float(words.max(where=readable, initial=0))
            words = words / np.float32(best) if best > 0 else words
            words[~readable] = -1
            if vector is None:
                rows = best_rows(words, min(count, len(words)))
                rows = rows[words[rows] > 0]
                return _ordered(rows, words[rows], self._vectors(database, rows))
            nearest = self._nearest(database, vector, readable, roles, filters)
            return self._fused(database, vector, words, nearest, weight, count)

    def _fused(
        self,
        database: Connection,
        vector: NDArray[np.float32],
        words: NDArray[np.float32],
        nearest: tuple[NDArray[np.int64], NDArray[np.float32]],
        weight: float,
        count: int,
    ) -> Best:
        """The best sums: of the nearest rows, and of all others that may reach as much by words."""
        rows, vectors = nearest
        meaning = np.clip(vectors @ vector, 0, 1)
        fused = (1 - weight) * words[rows] + weight * meaning
        # What was not among the nearest has at most the meaning of the last that was.
        whole = len(rows) < NEAREST
        farthest = 0.0 if whole or not len(rows) else float(meaning.min())
        left = words.copy()
        left[rows] = -1
        by_words = best_rows(left, min(MOST_BY_WORDS, len(left)))
        by_words = by_words[left[by_words] > 0]
        by_words = by_words[np.argsort(-left[by_words], kind="stable")]
        for begin in range(0, len(by_words), NEAREST):
            some = by_words[begin : begin + NEAREST]
            enough = len(fused) >= count
            least = float(np.partition(fused, -count)[-count]) if enough else 0.0
            if enough and (1 - weight) * float(words[some[0]]) + weight * farthest <= least:
                break
            found = self._vectors(database, some)
            meant = np.clip(found @ vector, 0, 1)
            rows = np.concatenate([rows, some])
            vectors = np.concatenate([vectors, found]) if len(vectors) else found
            fused = np.concatenate([fused, (1 - weight) * words[some] + weight * meant])
        there = fused > 0
        rows, vectors, fused = rows[there], vectors[there], fused[there]
        order = np.lexsort((rows, -fused))[:count]
        return Best(
            [int(row) for row in rows[order]],
            np.minimum(fused[order], 1).astype(np.float32),
            vectors[order],
        )

    def _words(self, database: Connection, query: str) -> NDArray[np.float32]:
        """(N,): BM25 of every row."""
        terms = sorted({term_hash(each) for each in query_terms(query)})
        held = self._postings(database, terms)
        empty = (np.zeros(0, np.int32), np.zeros(0, np.uint8))
        found = [held.get(term, empty) for term in terms]
        begins = np.cumsum([0, *(len(rows) for rows, _ in found)])
        return Postings(
            np.array(terms, np.uint64),
            begins.astype(np.int64),
            _joined([rows for rows, _ in found], np.int32),
            _joined([times for _, times in found], np.uint8),
            self._lengths,
        ).scores(query, self._norms)

    def _postings(
        self, database: Connection, terms: Sequence[int]
    ) -> dict[int, tuple[NDArray[np.int32], NDArray[np.uint8]]]:
        """The rows that have each of some terms, and how often."""
        with self._lock:
            held = {term: self._terms[term] for term in terms if term in self._terms}
            for term in held:
                self._terms.move_to_end(term)
        missing = np.array([term for term in terms if term not in held], np.uint64)
        if not len(missing):
            return held
        parts: dict[int, list[tuple[NDArray[np.int32], NDArray[np.uint8]]]] = {
            int(term): [] for term in missing
        }
        for term, segment, rows, times in database.execute(
            "SELECT term, segment, rows, times FROM posting"
            " WHERE segment = ANY(%s) AND term = ANY(%s)",
            (list(self._segments), missing.view(np.int64).tolist()),
            binary=True,
        ):
            places = self._segments[segment][np.frombuffer(rows, "<i4")]
            there = places >= 0
            hashed = int(np.array([term], np.int64).view(np.uint64)[0])
            parts[hashed].append(
                (places[there].astype(np.int32), np.frombuffer(times, np.uint8)[there])
            )
        for term, found in parts.items():
            held[term] = (
                _joined([rows for rows, _ in found], np.int32),
                _joined([times for _, times in found], np.uint8),
            )
            self._keep(term, held[term])
        return held

    def _keep(self, term: int, found: tuple[NDArray[np.int32], NDArray[np.uint8]]) -> None:
        with self._lock:
            self._terms[term] = found
            self._terms_bytes += 5 * len(found[0]) + 200
            while self._terms_bytes > _TERMS_BYTES and len(self._terms) > 1:
                _, (rows, _) = self._terms.popitem(last=False)
                self._terms_bytes -= 5 * len(rows) + 200

    def _nearest(
        self,
        database: Connection,
        vector: NDArray[np.float32],
        readable: NDArray[np.bool_],
        roles: AbstractSet[str],
        filters: Mapping[str, str] | None,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The rows nearest in meaning of those that may be read, and their vectors."""
        many = int(readable.sum())
        if not many:
            return np.zeros(0, np.int64), np.zeros((0, len(vector)), np.float32)
        by_index = self._has_index and many > EXACT_ROWS
        column = f"vector::vector({self._width})" if by_index else "vector"
        conditions = [
            ALIVE,
            "(readers = '{}' OR readers && %(roles)s::text[])",
            *([f"vector_dims(vector) = {self._width}"] if by_index else ()),
        ]
        given: dict[str, object] = {
            "version": self._pool.number,
            "roles": sorted(roles),
            "vector": vector,
            "count": NEAREST,
        }
        if filters or many < len(readable) // 10:
            conditions.append("document = ANY(%(documents)s)")
            given["documents"] = self._readable.documents(roles, filters)
        found = database.execute(
            f"SELECT chunk, vector FROM embedding WHERE {' AND '.join(conditions)}"
            f" ORDER BY {column} <#> %(vector)s LIMIT %(count)s",
            given,
            binary=True,
        ).fetchall()
        rows = np.searchsorted(self._chunks, np.array([row[0] for row in found], np.int64))
        # By what this version says, too: its readers may have changed since.
        kept = [i for i, row in enumerate(rows) if readable[row]]
        made = np.stack([found[i][1] for i in kept]) if kept else np.zeros((0, len(vector)), "f4")
        return rows[kept], made.astype(np.float32)

    def _vectors(self, database: Connection, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """(R, D): the vectors of some rows, in that order."""
        if not len(rows):
            return np.zeros((0, 0), np.float32)
        ids = self._chunks[rows].tolist()
        found: dict[int, NDArray[np.float32]] = dict(
            database.execute(
                "SELECT chunk, vector FROM embedding WHERE chunk = ANY(%s)", (ids,), binary=True
            ).fetchall()
        )
        if len(found) < len(set(ids)):
            raise KnowledgeUnusable(
                "the version of the knowledge base is gone", hint="a newer one is coming"
            )
        return np.stack([found[each] for each in ids])

    def chunks(self, rows: Sequence[int]) -> list[Found]:
        """The chunks of some rows, in that order."""
        ids = [int(self._chunks[row]) for row in rows]
        with guarded(), self._pool.connection() as database:
            found = {
                row[0]: Found.of(row)
                for row in database.execute(f"{CHUNKS} WHERE c.id = ANY(%s)", (ids,))
            }
        if len(found) < len(set(ids)):
            raise KnowledgeUnusable(
                "the version of the knowledge base is gone", hint="a newer one is coming"
            )
        return [found[each] for each in ids]

    def span(self, uri: str, start: int, end: int, roles: AbstractSet[str]) -> Found | None:
        """See `Index`."""
        with guarded(), self._pool.connection() as database:
            documents = database.execute(
                f"SELECT id FROM document WHERE uri = %(uri)s AND {ALIVE} ORDER BY id",
                {"uri": uri, "version": self._pool.number},
            ).fetchall()
            for (document,) in documents:
                if not self._readable.may(document, roles):
                    continue
                row = database.execute(
                    f'{CHUNKS} WHERE c.document = %s AND c."start" <= %s'
                    ' ORDER BY c."start" DESC, c.ordinal LIMIT 1',
                    (document, start),
                ).fetchone()
                if row is None:
                    continue
                found = Found.of(row)
                if (found.start, found.end) == (start, end):
                    return found
                text = _text(database, document, start, end)
                return replace(found, start=start, end=end, text=text)
        return None

    def text(self, document: int, start: int, end: int) -> str:
        """A span of a document's text."""
        with guarded(), self._pool.connection() as database:
            return _text(database, document, start, end)


def _ordered(
    rows: NDArray[np.intp], scores: NDArray[np.float32], vectors: NDArray[np.float32]
) -> Best:
    order = np.lexsort((rows, -scores))
    return Best(
        [int(row) for row in rows[order]],
        np.minimum(scores[order], 1),
        vectors[order] if len(vectors) else vectors,
    )


def _text(database: Connection, document: int, start: int, end: int) -> str:
    row = database.execute(
        "SELECT substr(text, %s, %s) FROM document WHERE id = %s",
        (start + 1, end - start, document),
    ).fetchone()
    return "" if row is None else str(row[0])


def _width(database: Connection, number: int) -> int:
    """How many numbers a vector has; 0 where there is none."""
    row = database.execute(
        f"SELECT vector_dims(vector) FROM embedding WHERE {ALIVE} LIMIT 1", {"version": number}
    ).fetchone()
    return 0 if row is None else int(row[0])


def _has_index(database: Connection, width: int) -> bool:
    row = database.execute("SELECT to_regclass(%s) IS NOT NULL", (hnsw_name(width),)).fetchone()
    return row is not None and bool(row[0])


def _joined(parts: Sequence[NDArray], kind: type) -> NDArray:  # type: ignore[type-arg]  # as given
    return np.concatenate(parts) if parts else np.zeros(0, kind)
