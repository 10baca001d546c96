"""The database: one engine, SQLite in WAL mode by default, migrated when it is opened.

`read()` and `write()` are the only ways to a connection, so that a writing transaction always
takes its lock first (`BEGIN IMMEDIATE`) and never fails half-way for want of it.
"""

import logging
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from sqlalchemy import (
    URL,
    Connection,
    Engine,
    Executable,
    Table,
    create_engine,
    event,
    make_url,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import DatabaseError, DBAPIError, OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from headrace.storage.errors import StateUnusable

__all__ = ["HEAD", "Database", "insert_or_ignore", "upsert"]

HEAD = "0009"
"""The newest migration. A test compares it with the folder, so alembic need not be imported."""

BUSY_TIMEOUT_S = 5.0
_WRITE = "headrace_write"
_INCREMENTAL = 2
"""SQLite's number for `auto_vacuum = INCREMENTAL`."""
_VACUUM_PAGES = 500
"""2 MB: some ten milliseconds of holding the lock. The writer waits for no longer."""

_log = logging.getLogger(__name__)


class Database:
    """An open database at the newest schema. Safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @classmethod
    def open(cls, where: str | Path) -> Self:
        """Open or create the database, and bring its schema up to date.

        Args:
            where: a file, or an SQLAlchemy URL.

        Raises:
            StateUnusable: the file cannot be made or read.
            SchemaTooNew: a newer Headrace has migrated it.
        """
        url = _url(where)
        if url.get_backend_name() == "sqlite":
            _prepare_file(url)
            engine = create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S})
            event.listen(engine, "connect", _configure_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        else:
            engine = create_engine(url)
        database = cls(engine)
        try:
            database._migrate()
        except DatabaseError as error:
            database.close()
            raise StateUnusable(
                f"the database {url.render_as_string()} cannot be used: {error.orig}",
                hint="check the disk's free space, the file's permissions, or restore a backup",
            ) from error
        except BaseException:
            database.close()
            raise
        return database

    def close(self) -> None:
        """Close every pooled connection. Connections still in use close when they come back."""
        self.engine.dispose()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one consistent state."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A connection in a writing transaction: committed at the end, rolled back on an error.

        Raises:
            OperationalError: the lock was not free within 5 s, or the disk is full.
        """
        writing = self.engine.connect().execution_options(**{_WRITE: True})
        with writing as connection, connection.begin():
            yield connection

    def checkpoint(self) -> None:
        """Move what was committed into the main file and empty the write-ahead log.

        Called after a key was destroyed, whose old pages the log would otherwise still hold.
        While another connection is in the middle of reading, the log stays as it is: at the
        latest it is overwritten by what comes next.

        Raises:
            OperationalError: the disk is full or sick.
        """
        if self.engine.dialect.name == "sqlite":
            with self._raw("PRAGMA wal_checkpoint(TRUNCATE)") as (raw, statement):
                raw.execute(statement).fetchall()

    def shrink(self) -> None:
        """Give the space of deleted rows back to the disk, some megabytes at a time.

        Between two steps others may write. Does as much as it can: when the database is locked
        for long, or sick, the rest waits for the next call.
        """
        if self.engine.dialect.name != "sqlite":
            return
        try:
            with self._raw(f"PRAGMA incremental_vacuum({_VACUUM_PAGES})") as (raw, statement):
                free = _free_pages(raw)
                while free:
                    # A script, because `execute` stops after the first page.
                    raw.executescript(statement).close()
                    left = _free_pages(raw)
                    if left >= free:
                        break
                    free = left
            self.checkpoint()
        except OperationalError as error:
            _log.info("space is given back later: %s", error.orig)

    @contextmanager
    def _raw(self, statement: str) -> Iterator[tuple[sqlite3.Connection, str]]:
        """SQLite's own connection, for what cannot run in a transaction."""
        with self.engine.connect() as connection:
            try:
                yield _sqlite(connection.connection.dbapi_connection), statement
            except sqlite3.Error as error:
                raise OperationalError(statement, None, error) from error

    def revision(self) -> str | None:
        """The schema's revision, or None for an empty database."""
        try:
            with self.read() as connection:
                row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
        except DBAPIError as error:
            if not self._is_empty():
                raise
            del error
            return None
        return None if row is None else str(row[0])

    def _is_empty(self) -> bool:
        from sqlalchemy import inspect

        return not inspect(self.engine).get_table_names()

    def _migrate(self) -> None:
        if self.revision() == HEAD:
            return
        # A second's import, so only when there is something to do.
        from headrace.storage.migrations.upgrade import upgrade

        with self.write() as connection:
            upgrade(connection)


def insert_or_ignore(connection: Connection, table: Table) -> Executable:
    """An INSERT that leaves a row with the same primary key as it is."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table).on_conflict_do_nothing()
    return postgresql.insert(table).on_conflict_do_nothing()


def upsert(connection: Connection, table: Table, columns: Sequence[str]) -> Executable:
    """An INSERT that, for a row with the same primary key, updates `columns` instead."""
    keys = [column.name for column in table.primary_key]
    if connection.dialect.name == "sqlite":
        statement = sqlite.insert(table)
        new: Mapping[str, object] = {name: statement.excluded[name] for name in columns}
        return statement.on_conflict_do_update(index_elements=keys, set_=new)
    statement_pg = postgresql.insert(table)
    new = {name: statement_pg.excluded[name] for name in columns}
    return statement_pg.on_conflict_do_update(index_elements=keys, set_=new)


def _url(where: str | Path) -> URL:
    if isinstance(where, str) and "://" in where:
        return make_url(where)
    return URL.create("sqlite", database=str(where))


def _prepare_file(url: URL) -> None:
    """Make the file for this user alone; SQLite gives its -wal and -shm the same permissions."""
    if not url.database or url.database == ":memory:":
        raise StateUnusable("the database must be a file", hint="give a path such as state.db")
    path = Path(url.database)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as error:
        raise StateUnusable(
            f"{path}: cannot be created: {error.strerror}",
            hint="check the folder's permissions, or choose another with HEADRACE_HOME",
        ) from error


def _configure_sqlite(dbapi: object, entry: ConnectionPoolEntry) -> None:
    del entry
    connection = _sqlite(dbapi)
    # Transactions are ours (see _begin_sqlite); the driver's own begin too late for DDL and reads.
    connection.isolation_level = None
    if connection.execute("PRAGMA auto_vacuum").fetchone() != (_INCREMENTAL,):
        # Only takes effect before the first table; lets retention give space back. Saying it
        # again would wait for the writing lock, and a reader must be able to connect without.
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL").close()
    for pragma in (
        "journal_mode = WAL",
        # A commit survives kill -9; only a power cut may lose the last ones (the file stays sound).
        "synchronous = NORMAL",
        "foreign_keys = ON",
        # Overwrites what is deleted, so that a destroyed subject key is gone from the file.
        "secure_delete = ON",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _sqlite(dbapi: object) -> sqlite3.Connection:
    assert isinstance(dbapi, sqlite3.Connection)
    return dbapi


def _free_pages(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA freelist_count").fetchone()[0])


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get(_WRITE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
