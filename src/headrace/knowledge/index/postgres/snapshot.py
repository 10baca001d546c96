"""A snapshot of the index on PostgreSQL: one version, searched where it lies.

In memory is what every row has in few bytes: its document, its length, who may read it. The terms
of a query come from the server as arrays and give the same BM25 as the embedded index (words.py).
Vectors stay on the server: it says how near the nearest are, and then whatever could still be
better by its words, so the result is the best of all rows. Only where an HNSW index finds the
nearest may it miss one.
"""

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
from headrace.knowledge.index.postgres.words import Words

__all__ = ["PostgresSnapshot"]

NEAREST = 60
"""Rows that are asked for by meaning at least. Three times what five passages are chosen from."""
BY_WORDS = (100, 400, 1100)
"""Rows that are asked for by words at most: of so many the first time, the second and the third.
After the first it is known well how good a row has to be, so the second is mostly the last."""
EXACT_ROWS = 5_000
"""So few readable rows are all looked at: an index would go through too many that are not."""


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
        places: dict[int, NDArray[np.int64]] = {}
        chunks = _joined([each.chunks for each in segments], np.int64)
        documents = _joined([each.documents for each in segments], np.int64)
        lengths = _joined([each.lengths for each in segments], np.int32)
        counts = np.flatnonzero(np.isin(documents, alive))
        order = counts[np.argsort(chunks[counts], kind="stable")]
        place = np.full(len(chunks), -1, np.int64)
        place[order] = np.arange(len(order))
        self._chunks, self._documents = chunks[order], documents[order]
        at = 0
        for each in segments:
            places[each.number] = place[at : at + len(each.chunks)]
            at += len(each.chunks)
        self._words = Words(places, lengths[order].astype(np.int32))

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
            # Of readable rows only: what others may read must not even show in a score.
            words = self._words.scores(database, query) * readable
            best = float(words.max(initial=0))
            if best > 0:
                words /= np.float32(best)
            if vector is None:
                rows = best_rows(words, min(count, len(words)))
                rows = rows[words[rows] > 0]
                scores = words[rows]
            else:
                asked = max(NEAREST, count)
                nearest = self._nearest(database, vector, readable, roles, filters, asked)
                rows, scores = self._fused(database, vector, words, nearest, weight, count)
            order = np.lexsort((rows, -scores))[:count]
            rows, scores = rows[order], np.minimum(scores[order], 1).astype(np.float32)
            return Best([int(row) for row in rows], scores, self._vectors(database, rows))

    def _fused(
        self,
        database: Connection,
        vector: NDArray[np.float32],
        words: NDArray[np.float32],
        nearest: tuple[NDArray[np.int64], NDArray[np.float32], float],
        weight: float,
        count: int,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Rows and their sums: of the nearest, and of all others that may reach as much by words."""
        rows, meaning, farthest = nearest
        fused = (1 - weight) * words[rows] + weight * meaning
        left = words.copy()
        left[rows] = 0
        for most in BY_WORDS if weight < 1 else ():
            least = float(np.partition(fused, -count)[-count]) if len(fused) >= count else 0.0
            some = np.flatnonzero(left > max((least - weight * farthest) / (1 - weight), 0))
            if not len(some):
                break
            if len(some) > most:
                some = some[np.argpartition(left[some], -most)[-most:]]
            meant = self._meaning(database, vector, some)
            rows = np.concatenate([rows, some])
            fused = np.concatenate([fused, (1 - weight) * words[some] + weight * meant])
            left[some] = 0
        there = fused > 0
        return rows[there], fused[there]

    def _nearest(
        self,
        database: Connection,
        vector: NDArray[np.float32],
        readable: NDArray[np.bool_],
        roles: AbstractSet[str],
        filters: Mapping[str, str] | None,
        count: int,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], float]:
        """The rows nearest in meaning of those that may be read, how near, and how near others are.

        What is not among so many has at most the meaning of the last that is.
        """
        many = int(readable.sum())
        if not many:
            return np.zeros(0, np.int64), np.zeros(0, np.float32), 0.0
        by_index = self._has_index and many > EXACT_ROWS
        half = f"::halfvec({self._width})" if by_index else ""
        conditions = [
            ALIVE,
            "(readers = '{}' OR readers && %(roles)s::text[])",
            *([f"vector_dims(vector) = {self._width}"] if by_index else ()),
        ]
        given: dict[str, object] = {
            "version": self._pool.number,
            "roles": sorted(roles),
            "vector": vector,
            "count": count,
        }
        if filters or many < len(readable) // 10:
            conditions.append("document = ANY(%(documents)s)")
            given["documents"] = self._readable.documents(roles, filters)
        found = database.execute(
            # How near it is comes from the whole vector, and not the vector itself: half the time.
            f"SELECT chunk, vector <#> %(vector)s FROM embedding WHERE {' AND '.join(conditions)}"
            f" ORDER BY vector{half} <#> %(vector)s{half} LIMIT %(count)s",
            given,
            binary=True,
        ).fetchall()
        rows = np.searchsorted(self._chunks, np.array([row[0] for row in found], np.int64))
        # By what this version says, too: its readers may have changed since.
        kept = readable[rows]
        meaning = _meaning([row[1] for row in found])
        return rows[kept], meaning[kept], float(meaning.min()) if len(found) == count else 0.0

    def _meaning(
        self, database: Connection, vector: NDArray[np.float32], rows: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """(R,): how near some rows are, in that order."""
        ids = self._chunks[rows].tolist()
        found: dict[int, float] = dict(
            database.execute(
                "SELECT chunk, vector <#> %s FROM embedding WHERE chunk = ANY(%s)",
                (vector, ids),
                binary=True,
            ).fetchall()
        )
        _check_all(found, ids)
        return _meaning([found[each] for each in ids])

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
        _check_all(found, ids)
        return np.stack([found[each] for each in ids])

    def chunks(self, rows: Sequence[int]) -> list[Found]:
        """The chunks of some rows, in that order."""
        ids = [int(self._chunks[row]) for row in rows]
        with guarded(), self._pool.connection() as database:
            found = {
                row[0]: Found.of(row)
                for row in database.execute(f"{CHUNKS} WHERE c.id = ANY(%s)", (ids,))
            }
        _check_all(found, ids)
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


def _meaning(products: Sequence[float]) -> NDArray[np.float32]:
    """From what `<#>` gives: the negative inner product."""
    made: NDArray[np.float32] = np.clip(-np.array(products, np.float32), 0, 1)
    return made


def _check_all(found: Mapping[int, object], ids: Sequence[int]) -> None:
    if len(found) < len(set(ids)):
        raise KnowledgeUnusable(
            "the version of the knowledge base is gone", hint="a newer one is coming"
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
