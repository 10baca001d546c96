"""A snapshot: one version of the index, open for reading, whatever writers do meanwhile."""

import queue
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from headrace.knowledge.errors import KnowledgeUnusable
from headrace.knowledge.index.best import best_rows
from headrace.knowledge.index.found import CHUNKS, Best, Found, Readable
from headrace.knowledge.index.postings import Postings, mapped
from headrace.knowledge.index.store import FOLDER, connect, guarded

__all__ = ["Snapshot"]

_TRIES = 5
_CHUNK = f"{CHUNKS} WHERE c.id = ?"
_CHUNK_AT = (
    f'{CHUNKS} WHERE c.document = ? AND c."start" <= ? ORDER BY c."start" DESC, c.ordinal LIMIT 1'
)


class Snapshot:
    """Everything of one version. Connections hold its transaction until it is closed."""

    def __init__(self, connections: Sequence[sqlite3.Connection], folder: Path | None) -> None:
        self._free: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        for each in connections:
            self._free.put(each)
        self._connections = connections
        self.version = _meta(connections[0], "version") if connections else ""
        self.embedder = _meta(connections[0], "embedder") if connections else ""
        if folder is None:
            self.postings = Postings.empty()
            self.vectors: NDArray[np.float32] = np.zeros((0, 0), np.float32)
            self._chunks = self._documents = np.zeros(0, np.int64)
        else:
            self.postings = Postings.load(folder)
            self.vectors = mapped(folder / "vectors.npy")
            self._chunks, self._documents = (
                mapped(folder / "chunks.npy"),
                mapped(folder / "documents.npy"),
            )
        self.norms = self.postings.norms()
        self._readable = Readable(self._documents)
        self._read_documents()

    @classmethod
    def open(cls, home: Path, connections: int = 1) -> Self:
        """The newest version; an empty one where there is none yet.

        Raises:
            KnowledgeUnusable: it cannot be read.
        """
        path = home / FOLDER / "knowledge.db"
        if not path.exists():
            return cls([], None)
        with guarded(path):
            for _ in range(_TRIES):
                opened = [connect(path, read_only=True) for _ in range(connections)]
                try:
                    folders = {_begin(each) for each in opened}
                    (folder,) = folders
                    if not folder:
                        break
                    return cls(opened, path.parent / folder)
                except (ValueError, FileNotFoundError):
                    # A new version came while we looked; look again.
                    pass
                for each in opened:
                    each.close()
            else:
                raise KnowledgeUnusable(f"{path}: versions come too fast", hint="try again")
        for each in opened:
            each.close()
        return cls([], None)

    def __len__(self) -> int:
        return len(self._chunks)

    def close(self) -> None:
        """Let go of it. Nothing may be searching."""
        for each in self._connections:
            each.close()

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
        """See `Index`. Both scores are known of every row, so these are the best there are."""
        readable = self._readable.mask(roles, filters)
        words = self.postings.scores(query, self.norms)
        # Of readable rows only: what others may read must not even show in a score.
        best = float(words.max(where=readable, initial=0))
        fused = words / np.float32(best) if best > 0 else words
        if vector is not None:
            meaning = np.clip(self.vectors @ vector, 0, 1)
            fused = fused * np.float32(1 - weight) + meaning * np.float32(weight)
        fused[~readable] = -1
        rows = best_rows(fused, min(count, len(fused)))
        rows = rows[fused[rows] > 0]
        rows = rows[np.lexsort((rows, -fused[rows]))]
        chosen = [int(row) for row in rows]
        return Best(chosen, np.minimum(fused[rows], 1), self.vectors[chosen])

    def chunks(self, rows: Sequence[int]) -> list[Found]:
        """The chunks of some rows, in that order."""
        with self._connection() as database:
            return [
                Found.of(database.execute(_CHUNK, (int(self._chunks[row]),)).fetchone())
                for row in rows
            ]

    def span(self, uri: str, start: int, end: int, roles: AbstractSet[str]) -> Found | None:
        """See `Index`."""
        with self._connection() as database:
            documents = database.execute(
                "SELECT id FROM document WHERE uri = ? ORDER BY id", (uri,)
            ).fetchall()
            for (document,) in documents:
                if not self._readable.may(document, roles):
                    continue
                row = database.execute(_CHUNK_AT, (document, start)).fetchone()
                if row is None:
                    continue
                found = Found.of(row)
                if (found.start, found.end) == (start, end):
                    return found
                (text,) = database.execute(
                    "SELECT substr(text, ?, ?) FROM document WHERE id = ?",
                    (start + 1, end - start, document),
                ).fetchone()
                return replace(found, start=start, end=end, text=str(text))
        return None

    def text(self, document: int, start: int, end: int) -> str:
        """A span of a document's text."""
        with self._connection() as database:
            row = database.execute(
                "SELECT substr(text, ?, ?) FROM document WHERE id = ?",
                (start + 1, end - start, document),
            ).fetchone()
            return str(row[0])

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        taken = self._free.get()
        try:
            yield taken
        finally:
            self._free.put(taken)

    def _read_documents(self) -> None:
        if not self._connections:
            return
        rows = self._connections[0].execute("SELECT id, readers, metadata FROM document")
        self._readable.learn(rows)


def _begin(database: sqlite3.Connection) -> str:
    """Begin the transaction that keeps the version in view; gives the folder of its arrays."""
    database.execute("BEGIN")
    return _meta(database, "folder")


def _meta(database: sqlite3.Connection, key: str) -> str:
    row = database.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    return "" if row is None else str(row[0])
