"""Embeddings that were made before, on PostgreSQL: for all gateways that share the server."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

import numpy as np
from numpy.typing import NDArray

from headrace.knowledge.index.postgres.schema import Connection, connect, guarded

__all__ = ["PostgresCache"]

_AT_ONCE = 2000


class PostgresCache:
    """See `VectorCache`. Open the store first: it makes the tables."""

    def __init__(self, database: Connection, embedder: str) -> None:
        self._database = database
        self._embedder = embedder

    @classmethod
    @contextmanager
    def open(cls, server: str, embedder: str) -> Iterator["PostgresCache"]:
        with guarded(), closing(connect(server)) as database:
            yield cls(database, embedder)

    def known(self, digests: Sequence[bytes]) -> set[bytes]:
        """Which of them are kept."""
        found: set[bytes] = set()
        for begin in range(0, len(digests), _AT_ONCE):
            rows = self._database.execute(
                "SELECT digest FROM kept WHERE embedder = %s AND digest = ANY(%s)",
                (self._embedder, list(digests[begin : begin + _AT_ONCE])),
                binary=True,
            )
            found.update(row[0] for row in rows)
        return found

    def vectors(self, digests: Sequence[bytes]) -> NDArray[np.float32]:
        """A row for each; all must be kept."""
        made: NDArray[np.float32] = np.zeros((len(digests), 0), np.float32)
        for begin in range(0, len(digests), _AT_ONCE):
            some = list(digests[begin : begin + _AT_ONCE])
            rows = self._database.execute(
                "SELECT digest, vector FROM kept WHERE embedder = %s AND digest = ANY(%s)",
                (self._embedder, some),
                binary=True,
            )
            found = {row[0]: np.frombuffer(row[1], np.float32) for row in rows}
            if not made.shape[1]:
                made = np.empty((len(digests), len(found[some[0]])), np.float32)
            made[begin : begin + len(some)] = np.stack([found[each] for each in some])
        return made

    def put(self, digests: Sequence[bytes], vectors: NDArray[np.float32]) -> None:
        """Keep a batch, all of it or nothing."""
        with self._database.transaction():
            self._database.cursor().executemany(
                "INSERT INTO kept VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
                [
                    (self._embedder, digest, vector.astype(np.float32).tobytes())
                    for digest, vector in zip(digests, vectors, strict=True)
                ],
            )
