"""The database: SQLite in a file by default, or PostgreSQL; migrated when it is opened.

`read()` and `write()` are the only ways to a connection, so that who writes what depends on what
is there waits for whoever else does, takes the lock first, and never fails half-way for want of
it. What differs between the two is in sqlite.py and postgres.py.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from sqlalchemy import URL, Connection, Engine, Executable, Table, make_url, text
from sqlalchemy.dialects import sqlite as sqlite_dialect
from sqlalchemy.exc import DBAPIError

from headrace.storage import sqlite
from headrace.storage.errors import StateUnusable

__all__ = ["HEAD", "Database", "insert_or_ignore", "upsert"]

HEAD = "0017"
"""The newest migration. A test compares it with the folder, so alembic need not be imported."""

BUSY_TIMEOUT_S = 5.0


class Database:
    """An open database at the newest schema. Safe to share between threads."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.is_postgres = engine.dialect.name == "postgresql"

    @classmethod
    def open(cls, where: str | Path) -> Self:
        """Open or create the database, and bring its schema up to date.

        Args:
            where: a file, or an SQLAlchemy URL.

        Raises:
            StateUnusable: the file cannot be made or read, or the server not be reached.
            SchemaTooNew: a newer Headrace has migrated it.
        """
        url = _url(where)
        if url.get_backend_name() == "sqlite":
            return cls._opened(sqlite.open_engine(url, BUSY_TIMEOUT_S), url)
        # The driver's import, so only for those who have a server.
        from headrace.storage import postgres

        return cls._opened(postgres.open_engine(url), url)

    @classmethod
    def _opened(cls, engine: Engine, url: URL) -> Self:
        database = cls(engine)
        try:
            database._migrate()
        except DBAPIError as error:
            database.close()
            raise _unusable(url, error) from error
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
        reading = self.engine.connect()
        if self.is_postgres:
            reading = reading.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        with reading as connection, connection.begin():
            yield connection

    @contextmanager
    def write(self, *, alone: bool = True) -> Iterator[Connection]:
        """A connection in a writing transaction: committed at the end, rolled back on an error.

        Args:
            alone: nobody else writes meanwhile, so that what was read before still holds when
                it is written. Without it, for what is right whoever else writes: only SQLite,
                which cannot do otherwise, lets one write at a time.

        Raises:
            OperationalError: the lock was not free within 5 s, the disk is full, or the server
                cannot be reached.
        """
        writing = self.engine.connect().execution_options(**{sqlite.WRITE: True})
        with writing as connection, connection.begin():
            if self.is_postgres and alone:
                from headrace.storage.postgres import begin_alone

                begin_alone(connection)
            yield connection

    def checkpoint(self) -> None:
        """Take what was deleted out of the database's files, as far as it lets us.

        Called after a key was destroyed, which the write-ahead log (SQLite) or dead rows
        (PostgreSQL) would otherwise still hold.

        Raises:
            OperationalError: the disk is full or sick.
        """
        if self.is_postgres:
            from headrace.storage.postgres import forget_deleted

            forget_deleted(self.engine)
        else:
            sqlite.checkpoint(self.engine)

    def shrink(self) -> None:
        """Give the space of deleted rows back to the disk; PostgreSQL does that by itself.

        Between two steps others may write. Does as much as it can: when the database is locked
        for long, or sick, the rest waits for the next call.
        """
        if not self.is_postgres:
            sqlite.shrink(self.engine)

    def revision(self) -> str | None:
        """The schema's revision, or None for an empty database."""
        try:
            with self.read() as connection:
                row = connection.execute(text("SELECT version_num FROM alembic_version")).first()
        except DBAPIError as error:
            if error.connection_invalidated or not self._is_empty():
                raise
            del error
            return None
        return None if row is None else str(row[0])

    def _is_empty(self) -> bool:
        from sqlalchemy import inspect

        found = inspect(self.engine)
        # A server's database may be shared with others; a file is ours alone.
        return not (
            found.has_table("alembic_version") if self.is_postgres else found.get_table_names()
        )

    def _migrate(self) -> None:
        if self.revision() == HEAD:
            return
        if self.is_postgres:
            from headrace.storage.postgres import version_problem

            problem = version_problem(self.engine)
            if problem is not None:
                raise problem
        # A second's import, so only when there is something to do.
        from headrace.storage.migrations.upgrade import upgrade

        with self.write() as connection:
            upgrade(connection)


def insert_or_ignore(connection: Connection, table: Table) -> Executable:
    """An INSERT that leaves a row with the same primary key as it is."""
    if connection.dialect.name == "sqlite":
        return sqlite_dialect.insert(table).on_conflict_do_nothing()
    # Here and below: its import, so only for those who have a server.
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table).on_conflict_do_nothing()


def upsert(connection: Connection, table: Table, columns: Sequence[str]) -> Executable:
    """An INSERT that, for a row with the same primary key, updates `columns` instead."""
    keys = [column.name for column in table.primary_key]
    if connection.dialect.name == "sqlite":
        statement = sqlite_dialect.insert(table)
        new: Mapping[str, object] = {name: statement.excluded[name] for name in columns}
        return statement.on_conflict_do_update(index_elements=keys, set_=new)
    from sqlalchemy.dialects import postgresql

    statement_pg = postgresql.insert(table)
    new = {name: statement_pg.excluded[name] for name in columns}
    return statement_pg.on_conflict_do_update(index_elements=keys, set_=new)


def _url(where: str | Path) -> URL:
    if isinstance(where, str) and "://" in where:
        return make_url(where)
    return URL.create("sqlite", database=str(where))


def _unusable(url: URL, error: DBAPIError) -> StateUnusable:
    if url.get_backend_name() != "sqlite":
        from headrace.storage.postgres import unusable

        return unusable(url, error)
    return StateUnusable(
        f"the database {url.render_as_string()} cannot be used: {error.orig}",
        hint="check the disk's free space, the file's permissions, or restore a backup",
    )
