"""New SQLite databases of the tests: made in one go as the migrations made the first one.

The migrations take 45 ms each time, and hundreds of tests begin with a new file. The tests of
storage/ run them themselves, as does every process that a test starts.
"""

import tempfile
from functools import cache
from pathlib import Path

import pytest
from sqlalchemy import URL, Connection

from headrace.storage import sqlite
from headrace.storage.database import BUSY_TIMEOUT_S, Database

__all__ = ["dumped", "migrate_at_once", "migrated_at_once"]

_MIGRATE = Database._migrate
_OWN_MIGRATIONS = Path(__file__).parent / "storage"


@cache
def _statements() -> tuple[str, ...]:
    """What makes an empty file what the migrations make of it."""
    with tempfile.TemporaryDirectory() as folder:
        url = URL.create("sqlite", database=str(Path(folder) / "headrace.db"))
        database = Database(sqlite.open_engine(url, BUSY_TIMEOUT_S))
        _MIGRATE(database)
        statements = dumped(database)
        database.close()
    return statements


def dumped(database: Database) -> tuple[str, ...]:
    """All that is in a database, as statements."""
    with database.read() as connection:
        raw = connection.connection.dbapi_connection
        assert raw is not None
        # Between `BEGIN` and `COMMIT`.
        return tuple(raw.iterdump())[1:-1]


def _is_new(connection: Connection) -> bool:
    return connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar() == 0


def migrate_at_once(database: Database) -> None:
    """Bring an open database to the newest schema: a new one in one go."""
    if not database.is_postgres and database.revision() is None:
        with database.write() as connection:
            if _is_new(connection):
                for statement in _statements():
                    connection.exec_driver_sql(statement)
                return
    _MIGRATE(database)


@pytest.fixture(autouse=True)
def migrated_at_once(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new file is at the newest schema without running each migration."""
    if _OWN_MIGRATIONS not in request.path.parents:
        monkeypatch.setattr(Database, "_migrate", migrate_at_once)
