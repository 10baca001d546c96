"""The store of the index on PostgreSQL: each version is one transaction, seen whole or not at all.

Only one process writes at a time, wherever it runs (an advisory lock of its session, which the
server drops with it). Once there are many vectors they get an HNSW index, after the version is
there: a search finds them without, too.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

import msgspec
import numpy as np
from numpy.typing import NDArray
from psycopg import errors

from headrace.knowledge.errors import KnowledgeUnusable
from headrace.knowledge.index.entry import Entry, Item, version_of
from headrace.knowledge.index.postgres.schema import (
    IN_USE,
    WRITING,
    Connection,
    connect,
    guarded,
    hnsw_name,
    make,
    meta,
)
from headrace.knowledge.index.postgres.segment import write_segment
from headrace.knowledge.settings import SourceSettings

__all__ = ["PostgresStore"]

HNSW_FROM = 5_000
"""Chunks from which on vectors are indexed; below, looking at all of them is as fast."""
MOST_INDEXED_WIDTH = 4_000
"""Numbers of a vector that pgvector's index takes of half precision (of whole, 2,000)."""
PATIENCE_S = 1.0

_log = logging.getLogger(__name__)


class PostgresStore:
    """Writes versions. Hold it open with `PostgresStore.open(server)`."""

    def __init__(self, database: Connection) -> None:
        self._database = database

    @classmethod
    @contextmanager
    def open(cls, server: str) -> Iterator["PostgresStore"]:
        """The store, for one writer.

        Raises:
            KnowledgeUnusable: another process writes, or the server does not let us.
        """
        with guarded(), closing(connect(server)) as database:
            _lock(database)
            make(database)
            yield cls(database)

    def meta(self, key: str) -> str:
        return meta(self._database, key)

    def items(self) -> dict[str, Item]:
        """What was read, by origin."""
        names = ("origin", "source", "stamp", "digest", "settings", "uri")
        rows = self._database.execute(f"SELECT {', '.join(names)} FROM item")
        return {row[0]: Item(**dict(zip(names, row, strict=True))) for row in rows}

    def sources(self) -> list[SourceSettings]:
        """Those that were added by command."""
        rows = self._database.execute('SELECT settings FROM source ORDER BY name COLLATE "C"')
        return [msgspec.json.decode(row[0], type=SourceSettings) for row in rows]

    def add_sources(self, sources: Sequence[SourceSettings]) -> None:
        """Remember sources; the next version has their documents."""
        self._database.cursor().executemany(
            "INSERT INTO source VALUES (%s, %s)"
            " ON CONFLICT (name) DO UPDATE SET settings = excluded.settings",
            [(each.name, msgspec.json.encode(each)) for each in sources],
        )

    def remove_source(self, name: str) -> None:
        self._database.execute("DELETE FROM source WHERE name = %s", (name,))

    def origins(self) -> list[str]:
        """Where the documents of the newest version come from."""
        return [
            row[0]
            for row in self._database.execute("SELECT origin FROM document WHERE died IS NULL")
        ]

    def announce(self) -> None:
        """Nothing: who asks the server sees the newest version."""

    def publish(
        self,
        entries: Sequence[Entry],
        vectors: NDArray[np.float32],
        items: Sequence[Item],
        gone: Sequence[str],
        told: Sequence[tuple[str, SourceSettings]],
        *,
        settings: str,
        embedder: str,
    ) -> str:
        """See `IndexStore.publish`."""
        database = self._database
        with database.transaction():
            number = int(self.meta("number") or 0) + 1
            _end(database, number, [*gone, *{each.origin for each in entries}])
            database.execute("DELETE FROM item WHERE origin = ANY(%s)", (list(gone),))
            _tell(database, told)
            _insert(database, number, entries, vectors)
            database.cursor().executemany(
                "INSERT INTO item VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT (origin) DO UPDATE SET"
                " source = excluded.source, stamp = excluded.stamp, digest = excluded.digest,"
                " settings = excluded.settings, uri = excluded.uri",
                [msgspec.structs.astuple(each) for each in items],
            )
            version = version_of(_described(database), settings, embedder)
            _note(database, version=version, number=str(number), embedder=embedder)
        self._sweep(number)
        self._index(vectors.shape[1] if len(vectors) else 0)
        return version

    def _sweep(self, number: int) -> None:
        """Delete what no version has any more that is read anywhere."""
        database = self._database
        row = database.execute(
            "SELECT min(objid::bigint) FROM pg_locks WHERE locktype = 'advisory' AND granted"
            " AND objsubid = 2 AND classid = %s"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            (IN_USE,),
        ).fetchone()
        oldest = min(number, row[0]) if row is not None and row[0] is not None else number
        with database.transaction():
            gone = {"oldest": oldest}
            _note(database, swept=str(oldest))
            database.execute(
                "DELETE FROM chunk WHERE document IN"
                " (SELECT id FROM document WHERE died <= %(oldest)s)",
                gone,
            )
            database.execute("DELETE FROM embedding WHERE died <= %(oldest)s", gone)
            database.execute(
                "DELETE FROM posting WHERE segment IN"
                " (SELECT id FROM segment WHERE died <= %(oldest)s)",
                gone,
            )
            database.execute("DELETE FROM segment WHERE died <= %(oldest)s", gone)
            database.execute("DELETE FROM document WHERE died <= %(oldest)s", gone)

    def _index(self, width: int) -> None:
        """Index the vectors once they are many; searches go on meanwhile, and after a kill."""
        database = self._database
        name = hnsw_name(width)
        if not 0 < width <= MOST_INDEXED_WIDTH:
            return
        if database.execute("SELECT to_regclass(%s)", (name,)).fetchone() != (None,):
            return
        (count,) = database.execute(
            "SELECT count(*) FROM embedding WHERE died IS NULL AND vector_dims(vector) = %s",
            (width,),
        ).fetchone() or (0,)
        if count < HNSW_FROM:
            return
        _log.info("indexing %d vectors", count)
        with database.transaction():
            database.execute("SET LOCAL maintenance_work_mem = '512MB'")
            database.execute(
                f"CREATE INDEX {name} ON embedding"
                f" USING hnsw ((vector::halfvec({width})) halfvec_ip_ops)"
                f" WHERE vector_dims(vector) = {width}"
            )
            # Of whole precision, by an earlier version: nothing asks it, and each write keeps it up.
            database.execute(f"DROP INDEX IF EXISTS embedding_hnsw_{width}")
        database.execute("ANALYZE embedding")


def _lock(database: Connection) -> None:
    """Be the only writer. A moment's patience: the server may still be ending one that was killed."""
    database.execute("SET client_connection_check_interval = '2s'")
    database.execute(f"SET lock_timeout = '{PATIENCE_S:g}s'")
    try:
        database.execute("SELECT pg_advisory_lock(%s)", (WRITING,))
    except errors.LockNotAvailable as error:
        raise KnowledgeUnusable(
            "another command changes the knowledge base", hint="wait until it is done"
        ) from error
    database.execute("SET lock_timeout = 0")


def _note(database: Connection, **facts: str) -> None:
    database.cursor().executemany(
        "INSERT INTO meta VALUES (%s, %s) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        list(facts.items()),
    )


def _end(database: Connection, number: int, origins: Sequence[str]) -> None:
    """From this version on, the documents of some origins are not there."""
    rows = database.execute(
        "UPDATE document SET died = %s WHERE died IS NULL AND origin = ANY(%s) RETURNING id",
        (number, list(origins)),
    )
    ended = [row[0] for row in rows]
    database.execute("UPDATE embedding SET died = %s WHERE document = ANY(%s)", (number, ended))


def _tell(database: Connection, told: Sequence[tuple[str, SourceSettings]]) -> None:
    """Readers of older versions keep to what they know; what is asked of the server is stricter."""
    for origin, source in told:
        rows = database.execute(
            "UPDATE document SET readers = %s WHERE died IS NULL AND origin = %s RETURNING id",
            (msgspec.json.encode(source.readers).decode(), origin),
        )
        database.execute(
            "UPDATE embedding SET readers = %s WHERE document = ANY(%s)",
            (list(source.readers), [row[0] for row in rows]),
        )


def _insert(
    database: Connection, number: int, entries: Sequence[Entry], vectors: NDArray[np.float32]
) -> None:
    first_document = int(meta(database, "documents") or 0) + 1
    first_chunk = int(meta(database, "chunks") or 0) + 1
    counts = [len(entry.chunks) for entry in entries]
    documents = np.repeat(np.arange(len(entries)) + first_document, counts).astype(np.int64)
    chunks = np.arange(first_chunk, first_chunk + len(documents), dtype=np.int64)
    _copy_documents(database, number, entries, first_document)
    _copy_chunks(database, entries, chunks.tolist(), documents.tolist())
    with database.cursor().copy("COPY embedding FROM STDIN (FORMAT BINARY)") as copy:
        copy.set_types(["int8", "int8", "int8", "int8", "text[]", "vector"])
        readers = [list(entry.readers) for entry in entries for _ in entry.chunks]
        for chunk, document, roles, vector in zip(
            chunks.tolist(), documents.tolist(), readers, vectors, strict=True
        ):
            copy.write_row((chunk, document, number, None, roles, vector))
    write_segment(
        database,
        number,
        number,
        chunks,
        documents,
        (text for entry in entries for text in entry.texts()),
    )
    _note(
        database,
        documents=str(first_document + len(entries) - 1),
        chunks=str(first_chunk + len(chunks) - 1),
    )


def _copy_documents(
    database: Connection, number: int, entries: Sequence[Entry], first: int
) -> None:
    with database.cursor().copy("COPY document FROM STDIN") as copy:
        for row, entry in enumerate(entries, first):
            known = entry.document
            copy.write_row(
                (
                    row,
                    number,
                    None,
                    entry.origin,
                    known.uri,
                    known.title,
                    known.media_type,
                    known.digest,
                    known.text,
                    msgspec.json.encode(known.metadata).decode(),
                    msgspec.json.encode(entry.readers).decode(),
                )
            )


def _copy_chunks(
    database: Connection, entries: Sequence[Entry], ids: list[int], documents: list[int]
) -> None:
    rows = (chunk for entry in entries for chunk in entry.chunks)
    with database.cursor().copy("COPY chunk FROM STDIN") as copy:
        for chunk, document, each in zip(ids, documents, rows, strict=True):
            headings = msgspec.json.encode(each.headings).decode()
            copy.write_row(
                (
                    chunk,
                    document,
                    each.ordinal,
                    each.start,
                    each.end,
                    each.text,
                    each.kind,
                    headings,
                    each.page,
                )
            )


def _described(database: Connection) -> Iterator[tuple[object, ...]]:
    yield from database.execute(
        "SELECT uri, digest, title, metadata, readers FROM document WHERE died IS NULL"
    )
