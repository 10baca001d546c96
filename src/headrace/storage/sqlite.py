"""SQLite as the database: a file for this user alone, in WAL mode, whose writers wait in line."""

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import ConnectionPoolEntry

from headrace.storage.errors import StateUnusable

__all__ = ["WRITE", "checkpoint", "open_engine", "shrink"]

WRITE = "headrace_write"
"""Execution option of a connection that is going to write."""
_INCREMENTAL = 2
"""SQLite's number for `auto_vacuum = INCREMENTAL`."""
_VACUUM_PAGES = 500
"""2 MB: some ten milliseconds of holding the lock. The writer waits for no longer."""

_log = logging.getLogger(__name__)


def open_engine(url: URL, busy_timeout_s: float) -> Engine:
    """The engine of a file, which is made if it was not there.

    Raises:
        StateUnusable: it cannot be made.
    """
    _prepare_file(url)
    engine = create_engine(url, connect_args={"timeout": busy_timeout_s}, hide_parameters=True)
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


def checkpoint(engine: Engine) -> None:
    """Move what was committed into the main file and empty the write-ahead log.

    While another connection is in the middle of reading, the log stays as it is: at the latest it
    is overwritten by what comes next.
    """
    with _raw(engine, "PRAGMA wal_checkpoint(TRUNCATE)") as (raw, statement):
        raw.execute(statement).fetchall()


def shrink(engine: Engine) -> None:
    """Give the space of deleted rows back to the disk, some megabytes at a time."""
    try:
        with _raw(engine, f"PRAGMA incremental_vacuum({_VACUUM_PAGES})") as (raw, statement):
            free = _free_pages(raw)
            while free:
                # A script, because `execute` stops after the first page.
                raw.executescript(statement).close()
                left = _free_pages(raw)
                if left >= free:
                    break
                free = left
        checkpoint(engine)
    except OperationalError as error:
        _log.info("space is given back later: %s", error.orig)


@contextmanager
def _raw(engine: Engine, statement: str) -> Iterator[tuple[sqlite3.Connection, str]]:
    """SQLite's own connection, for what cannot run in a transaction."""
    with engine.connect() as connection:
        try:
            yield _sqlite(connection.connection.dbapi_connection), statement
        except sqlite3.Error as error:
            raise OperationalError(statement, None, error) from error


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


def _configure(dbapi: object, entry: ConnectionPoolEntry) -> None:
    del entry
    connection = _sqlite(dbapi)
    # Transactions are ours (see _begin); the driver's own begin too late for DDL and reads.
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


def _begin(connection: Connection) -> None:
    writing = connection.get_execution_options().get(WRITE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
