"""The index's tables, in a schema of their own, and connections to them.

What a version has is born with it and dies with a later one: a row counts for version `v` where
`born <= v < died`. So a reader keeps its version while others publish, without holding a
transaction open; it holds a shared advisory lock on the version's number instead, and what died is
deleted only once nobody holds a version that had it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

import numpy as np
import psycopg
from numpy.typing import NDArray
from psycopg import errors, sql
from psycopg.adapt import Buffer, Dumper, Loader
from psycopg.pq import Format
from psycopg.types import TypeInfo
from sqlalchemy import make_url

from headrace.knowledge.errors import KnowledgeUnusable
from headrace.storage.postgres import CONNECTING, keep_any_text, libpq_address, shown

__all__ = [
    "ALIVE",
    "IN_USE",
    "SCHEMA",
    "WRITING",
    "Connection",
    "connect",
    "guarded",
    "hnsw_name",
    "is_made",
    "make",
    "meta",
]

Connection: TypeAlias = psycopg.Connection[tuple[Any, ...]]

SCHEMA = "headrace_knowledge"
ALIVE = "born <= %(version)s AND (died IS NULL OR died > %(version)s)"
IN_USE, WRITING = 0x4B6E6F77, 0x4B575254
"""Advisory locks: of who reads a version (with its number), and of who writes."""
_LEAST_PGVECTOR = (0, 8)
"""Since then a search of an HNSW index goes on until it has enough rows that may be read."""
_TABLES = """
CREATE TABLE meta (key text PRIMARY KEY, value text NOT NULL);
CREATE TABLE source (name text PRIMARY KEY, settings bytea NOT NULL);
CREATE TABLE item (
    origin text PRIMARY KEY, source text NOT NULL, stamp text NOT NULL, digest text NOT NULL,
    settings text NOT NULL, uri text NOT NULL);
CREATE TABLE document (
    id bigint PRIMARY KEY, born bigint NOT NULL, died bigint, origin text NOT NULL,
    uri text NOT NULL, title text NOT NULL, media_type text NOT NULL, digest text NOT NULL,
    text text NOT NULL, metadata text NOT NULL, readers text NOT NULL);
CREATE INDEX document_origin ON document USING hash (origin);
CREATE INDEX document_uri ON document USING hash (uri);
CREATE INDEX document_died ON document (died) WHERE died IS NOT NULL;
CREATE TABLE chunk (
    id bigint PRIMARY KEY, document bigint NOT NULL, ordinal integer NOT NULL,
    "start" bigint NOT NULL, "end" bigint NOT NULL, text text NOT NULL, kind text NOT NULL,
    headings text NOT NULL, page integer);
CREATE INDEX chunk_document ON chunk (document, "start");
CREATE TABLE embedding (
    chunk bigint PRIMARY KEY, document bigint NOT NULL, born bigint NOT NULL, died bigint,
    readers text[] NOT NULL, vector vector NOT NULL);
CREATE INDEX embedding_document ON embedding (document);
CREATE TABLE segment (
    id bigint PRIMARY KEY, born bigint NOT NULL, died bigint, chunks bytea NOT NULL,
    documents bytea NOT NULL, lengths bytea NOT NULL);
CREATE TABLE posting (
    segment bigint NOT NULL, term bigint NOT NULL, rows bytea NOT NULL, times bytea NOT NULL,
    PRIMARY KEY (segment, term));
CREATE TABLE kept (
    embedder text NOT NULL, digest bytea NOT NULL, vector bytea NOT NULL,
    PRIMARY KEY (embedder, digest));
-- A scan of all vectors reads them where they stand, not one by one elsewhere.
ALTER TABLE embedding SET (toast_tuple_target = 8160);
ALTER TABLE posting ALTER rows SET STORAGE EXTERNAL, ALTER times SET STORAGE EXTERNAL;
"""


@contextmanager
def guarded() -> Iterator[None]:
    """Says in a user's words what the server could not do."""
    try:
        yield
    except errors.DiskFull as error:
        raise KnowledgeUnusable(
            "the database server's disk is full; the last version stays in use",
            hint="make room and call it again: what is embedded is not embedded again",
        ) from error
    except psycopg.Error as error:
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise KnowledgeUnusable(
            f"the database server: {said}; the last version stays in use",
            hint="`headrace doctor` looks at the database",
        ) from error


def connect(server: str) -> Connection:
    """A connection that finds the tables, and reads and writes vectors where pgvector is there."""
    try:
        made = psycopg.connect(
            libpq_address(make_url(server)),
            autocommit=True,
            **CONNECTING,  # type: ignore[arg-type]  # options of libpq
        )
    except psycopg.Error as error:
        said = (str(error).strip().splitlines() or [""])[0]
        raise KnowledgeUnusable(
            f"the database {shown(make_url(server))} cannot be reached: {said}",
            hint="`headrace doctor` says what is wrong with it",
        ) from error
    keep_any_text(made)
    made.execute("SET idle_in_transaction_session_timeout = '10min'")
    _prepare(made)
    return made


def _prepare(database: Connection) -> None:
    """Let it find the tables and, where pgvector is there, take vectors."""
    found = database.execute(
        "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"
        " WHERE e.extname = 'vector'"
    ).fetchone()
    where = sql.SQL(", ").join(map(sql.Identifier, [SCHEMA, *(found or ()), "pg_catalog"]))
    database.execute(sql.SQL("SET search_path TO {}").format(where))
    if found is None:
        return
    info = TypeInfo.fetch(database, "vector")
    assert info is not None  # the extension is there
    info.register(database)
    dumper = type("VectorDumper", (_VectorDumper,), {"oid": info.oid})
    database.adapters.register_dumper(np.ndarray, dumper)
    database.adapters.register_loader(info.oid, _VectorLoader)


def is_made(database: Connection) -> bool:
    """Whether the tables are there."""
    row = database.execute("SELECT to_regclass(%s) IS NOT NULL", (f"{SCHEMA}.meta",)).fetchone()
    return row is not None and bool(row[0])


def make(database: Connection) -> None:
    """The tables, made if they were not there; call it with the lock of who writes.

    Raises:
        KnowledgeUnusable: the server has no pgvector, too old a one, or this user may not use it.
    """
    _make_extension(database)
    if is_made(database):
        return
    database.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
    _prepare(database)
    with database.transaction():
        for statement in _TABLES.split(";\n"):
            if statement.strip():
                database.execute(statement.encode())


def _make_extension(database: Connection) -> None:
    try:
        database.execute("CREATE EXTENSION IF NOT EXISTS vector SCHEMA public")
    except errors.InsufficientPrivilege as error:
        raise KnowledgeUnusable(
            "this user may not load pgvector into the database",
            hint="as a superuser, in this database: CREATE EXTENSION vector",
        ) from error
    except (errors.FeatureNotSupported, errors.UndefinedFile) as error:
        raise KnowledgeUnusable(
            "the database server has no pgvector, which knowledge on PostgreSQL needs",
            hint="install it on the server (Debian: apt install postgresql-NN-pgvector), "
            "or take `database:` out to keep knowledge in the home",
        ) from error
    row = database.execute(
        "SELECT extversion FROM pg_extension WHERE extname = 'vector'"
    ).fetchone()
    version = str(row[0]) if row else "0"
    if tuple(map(int, version.split(".")[:2])) < _LEAST_PGVECTOR:
        raise KnowledgeUnusable(
            f"the database has pgvector {version}; 0.8 or newer is needed",
            hint="install a newer one, then: ALTER EXTENSION vector UPDATE",
        )


def meta(database: Connection, key: str) -> str:
    """A fact about the index; empty where nothing is known."""
    row = database.execute("SELECT value FROM meta WHERE key = %s", (key,)).fetchone()
    return "" if row is None else str(row[0])


def hnsw_name(width: int) -> str:
    """The index of vectors of that many numbers, of half their precision."""
    return f"embedding_half_{width}"


class _VectorDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: NDArray[np.float32]) -> Buffer:
        head = len(obj).to_bytes(2, "big") + b"\0\0"
        return head + obj.astype(">f4").tobytes()


class _VectorLoader(Loader):
    format = Format.BINARY

    def load(self, data: Buffer) -> NDArray[np.float32]:
        return np.frombuffer(bytes(data), ">f4", offset=4).astype(np.float32)
