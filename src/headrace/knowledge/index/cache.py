"""Embeddings that were made before, by embedder and text: the same text is never embedded twice."""

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from headrace.knowledge.index.store import FOLDER, connect, guarded

__all__ = ["VectorCache", "text_digest"]


def text_digest(text: str) -> bytes:
    """The text's address."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


class VectorCache:
    """Vectors on disk. What was kept stays kept after a kill."""

    def __init__(self, database: sqlite3.Connection, embedder: str) -> None:
        self._database = database
        self._embedder = embedder

    @classmethod
    @contextmanager
    def open(cls, home: Path, embedder: str) -> Iterator["VectorCache"]:
        path = home / FOLDER / "vectors.db"
        with guarded(path), closing(connect(path)) as database:
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute(
                "CREATE TABLE IF NOT EXISTS vector (embedder TEXT, digest BLOB, vector BLOB NOT NULL,"
                " PRIMARY KEY (embedder, digest)) WITHOUT ROWID"
            )
            yield cls(database, embedder)

    def get(self, digest: bytes) -> NDArray[np.float32] | None:
        row = self._database.execute(
            "SELECT vector FROM vector WHERE embedder = ? AND digest = ?", (self._embedder, digest)
        ).fetchone()
        return None if row is None else np.frombuffer(row[0], np.float32)

    def known(self, digests: Sequence[bytes]) -> set[bytes]:
        """Which of them are kept."""
        return {digest for digest in digests if self.get(digest) is not None}

    def vectors(self, digests: Sequence[bytes]) -> NDArray[np.float32]:
        """A row for each; all must be kept."""
        made: NDArray[np.float32] | None = None
        for row, digest in enumerate(digests):
            vector = self.get(digest)
            assert vector is not None  # put there a moment ago, by the only writer
            if made is None:
                made = np.empty((len(digests), len(vector)), np.float32)
            made[row] = vector
        return np.zeros((0, 0), np.float32) if made is None else made

    def put(self, digests: Sequence[bytes], vectors: NDArray[np.float32]) -> None:
        """Keep a batch, all of it or nothing."""
        rows = [
            (self._embedder, digest, vector.astype(np.float32).tobytes())
            for digest, vector in zip(digests, vectors, strict=True)
        ]
        self._database.execute("BEGIN")
        try:
            self._database.executemany("INSERT OR REPLACE INTO vector VALUES (?, ?, ?)", rows)
            self._database.execute("COMMIT")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("ROLLBACK")
            raise
