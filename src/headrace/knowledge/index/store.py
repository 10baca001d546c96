"""The store of the index: `knowledge/` below the service's home.

`knowledge.db` holds documents and chunks, a folder for each version its arrays. A version is seen
once the database's commit names its folder; readers hold what they have open until they look
again. `vectors.db` keeps embeddings by text, so that nothing is embedded twice, even after a kill.
Only one process writes at a time.
"""

import errno
import fcntl
import os
import shutil
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import msgspec
import numpy as np
from numpy.typing import NDArray

from headrace.knowledge.errors import KnowledgeUnusable
from headrace.knowledge.index.entry import Entry, Item, version_of
from headrace.knowledge.index.postings import Postings, mapped
from headrace.knowledge.settings import SourceSettings

__all__ = ["CURRENT_FILE", "FOLDER", "IndexStore", "connect", "guarded"]

FOLDER = "knowledge"
CURRENT_FILE = "knowledge/current"
"""Below the home: changes with each version, so that services see that there is one."""
_DATABASE = "knowledge.db"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS source (name TEXT PRIMARY KEY, settings BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS item (
    origin TEXT PRIMARY KEY, source TEXT NOT NULL, stamp TEXT NOT NULL, digest TEXT NOT NULL,
    settings TEXT NOT NULL, uri TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS document (
    id INTEGER PRIMARY KEY AUTOINCREMENT, origin TEXT NOT NULL, uri TEXT NOT NULL,
    title TEXT NOT NULL, media_type TEXT NOT NULL, digest TEXT NOT NULL, text TEXT NOT NULL,
    metadata BLOB NOT NULL, readers BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS document_origin ON document (origin);
CREATE TABLE IF NOT EXISTS chunk (
    id INTEGER PRIMARY KEY AUTOINCREMENT, document INTEGER NOT NULL, ordinal INTEGER NOT NULL,
    "start" INTEGER NOT NULL, "end" INTEGER NOT NULL, text TEXT NOT NULL, kind TEXT NOT NULL,
    headings BLOB NOT NULL, page INTEGER);
CREATE INDEX IF NOT EXISTS chunk_document ON chunk (document);
"""
_BLOCK = 8192
"""Rows of vectors that are copied at a time."""


@contextmanager
def guarded(path: Path) -> Iterator[None]:
    """Says in a user's words what the database or the disk could not do."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        full = getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "full" in str(error)
        raise KnowledgeUnusable(
            f"{path}: {'the disk is full' if full else error}; the last version stays in use",
            hint="make room and call it again: what is embedded is not embedded again"
            if full
            else "check the disk and the permissions; it can be made again by `headrace knowledge sync`",
        ) from error


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection that any thread may use, one at a time; transactions are said explicitly."""
    address = f"{path.resolve().as_uri()}?mode={'ro' if read_only else 'rwc'}"
    made = sqlite3.connect(
        address, uri=True, isolation_level=None, timeout=30, check_same_thread=False
    )
    if not read_only:
        made.execute("PRAGMA journal_mode = WAL")
    return made


class IndexStore:
    """Writes versions. Hold it open with `IndexStore.open(home)`."""

    def __init__(self, folder: Path, database: sqlite3.Connection) -> None:
        self._folder = folder
        self._database = database

    @classmethod
    @contextmanager
    def open(cls, home: Path) -> Iterator["IndexStore"]:
        """The store, for one writer.

        Raises:
            KnowledgeUnusable: another process writes, or the disk does not let us.
        """
        folder = home / FOLDER
        with guarded(folder):
            folder.mkdir(mode=0o700, exist_ok=True)
            with (folder / "lock").open("w") as lock:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError as error:
                    raise KnowledgeUnusable(
                        "another command changes the knowledge base",
                        hint="wait until it is done",
                    ) from error
                with closing(connect(folder / _DATABASE)) as database:
                    database.executescript(_SCHEMA)
                    yield cls(folder, database)

    def meta(self, key: str) -> str:
        row = self._database.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return "" if row is None else str(row[0])

    def items(self) -> dict[str, Item]:
        """What was read, by origin."""
        rows = self._database.execute(
            "SELECT origin, source, stamp, digest, settings, uri FROM item"
        )
        names = ("origin", "source", "stamp", "digest", "settings", "uri")
        return {row[0]: Item(**dict(zip(names, row, strict=True))) for row in rows}

    def sources(self) -> list[SourceSettings]:
        """Those that were added by command."""
        rows = self._database.execute("SELECT settings FROM source ORDER BY name")
        return [msgspec.json.decode(row[0], type=SourceSettings) for row in rows]

    def add_sources(self, sources: Sequence[SourceSettings]) -> None:
        """Remember sources; the next version has their documents."""
        self._database.executemany(
            "INSERT OR REPLACE INTO source VALUES (?, ?)",
            [(each.name, msgspec.json.encode(each)) for each in sources],
        )

    def remove_source(self, name: str) -> None:
        self._database.execute("DELETE FROM source WHERE name = ?", (name,))

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
        """Make a version and put it in place of the last, whole or not at all; gives its address.

        Args:
            vectors: a row for each chunk of `entries`, in order.
            items: what was read, or has another stamp only.
            gone: origins whose documents go; those of `entries` are replaced.
            told: origins whose source says something new of them (readers, metadata).
        """
        database = self._database
        name = f"v-{uuid.uuid4().hex[:12]}"
        old = self.meta("folder")
        database.execute("BEGIN IMMEDIATE")
        try:
            before = [row[0] for row in database.execute("SELECT id FROM chunk ORDER BY id")]
            _delete(database, [*gone, *{each.origin for each in entries}])
            database.executemany("DELETE FROM item WHERE origin = ?", [(each,) for each in gone])
            _tell(database, told)
            _insert(database, entries)
            database.executemany(
                "INSERT OR REPLACE INTO item VALUES (?, ?, ?, ?, ?, ?)",
                [msgspec.structs.astuple(each) for each in items],
            )
            self._write_arrays(name, old, before, entries, vectors)
            version = version_of(_described(database), settings, embedder)
            database.executemany(
                "INSERT OR REPLACE INTO meta VALUES (?, ?)",
                {"version": version, "folder": name, "embedder": embedder}.items(),
            )
            database.execute("COMMIT")
        except BaseException:
            if database.in_transaction:
                database.execute("ROLLBACK")
            shutil.rmtree(self._folder / name, ignore_errors=True)
            raise
        self._announce(version)
        self._sweep(name)
        return version

    def announce(self) -> None:
        """Say the version again: a kill may have come between its commit and its announcement."""
        self._announce(self.meta("version"))

    def _announce(self, version: str) -> None:
        path = self._folder / "current"
        if not path.exists() or path.read_text("utf-8") != version:
            path.with_suffix(".new").write_text(version, encoding="utf-8")
            path.with_suffix(".new").replace(path)

    def _sweep(self, name: str) -> None:
        """Forget other versions' arrays; who has them open keeps them."""
        for folder in self._folder.glob("v-*"):
            if folder.name != name:
                shutil.rmtree(folder, ignore_errors=True)

    def _write_arrays(
        self,
        name: str,
        old: str,
        before: list[int],
        entries: Sequence[Entry],
        vectors: NDArray[np.float32],
    ) -> None:
        rows = self._database.execute("SELECT id, document FROM chunk ORDER BY id").fetchall()
        chunks = np.array([row[0] for row in rows], np.int64)
        kept = np.flatnonzero(np.isin(np.array(before, np.int64), chunks))
        folder = self._folder / name
        folder.mkdir(mode=0o700)
        there = self._folder / old
        postings = Postings.load(there) if old else Postings.empty()
        texts = (text for entry in entries for text in entry.texts())
        postings.changed(kept, texts).save(folder)
        np.save(folder / "chunks.npy", chunks)
        np.save(folder / "documents.npy", np.array([row[1] for row in rows], np.int64))
        last = mapped(there / "vectors.npy") if len(kept) else vectors[:0]
        width = last.shape[1] if len(kept) else vectors.shape[1]
        made = (
            np.lib.format.open_memmap(
                folder / "vectors.npy", "w+", np.dtype(np.float32), (len(rows), width)
            )
            if rows
            else np.zeros((0, width), np.float32)
        )
        for begin in range(0, len(kept), _BLOCK):
            part = kept[begin : begin + _BLOCK]
            made[begin : begin + len(part)] = last[part]
        if len(vectors):
            made[len(kept) :] = vectors
        if isinstance(made, np.memmap):
            made.flush()
        else:
            np.save(folder / "vectors.npy", made)
        for path in folder.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _delete(database: sqlite3.Connection, origins: Sequence[str]) -> None:
    for origin in origins:
        database.execute(
            "DELETE FROM chunk WHERE document IN (SELECT id FROM document WHERE origin = ?)",
            (origin,),
        )
        database.execute("DELETE FROM document WHERE origin = ?", (origin,))


def _tell(database: sqlite3.Connection, told: Sequence[tuple[str, SourceSettings]]) -> None:
    for origin, source in told:
        database.execute(
            "UPDATE document SET readers = ? WHERE origin = ?",
            (msgspec.json.encode(source.readers), origin),
        )


def _insert(database: sqlite3.Connection, entries: Sequence[Entry]) -> None:
    for entry in entries:
        known = entry.document
        document = database.execute(
            "INSERT INTO document (origin, uri, title, media_type, digest, text, metadata, readers)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                entry.origin,
                known.uri,
                known.title,
                known.media_type,
                known.digest,
                known.text,
                msgspec.json.encode(known.metadata),
                msgspec.json.encode(entry.readers),
            ),
        ).lastrowid
        database.executemany(
            'INSERT INTO chunk (document, ordinal, "start", "end", text, kind, headings, page)'
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [
                (
                    document,
                    each.ordinal,
                    each.start,
                    each.end,
                    each.text,
                    each.kind,
                    msgspec.json.encode(each.headings),
                    each.page,
                )
                for each in entry.chunks
            ],
        )


def _described(database: sqlite3.Connection) -> Iterator[tuple[object, ...]]:
    rows = database.execute("SELECT uri, title, digest, metadata, readers FROM document")
    for uri, title, digest, metadata, readers in rows:
        yield uri, digest, title, metadata.decode(), readers.decode()
