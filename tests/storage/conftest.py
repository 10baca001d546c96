"""A database and a journal in a folder of their own, and a kind of record to send through them."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from headrace.storage.database import Database, insert_or_ignore
from headrace.storage.tables import meta
from headrace.storage.writer import BatchWriter, CommittedHandler


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(tmp_path / "state.db")
    yield database
    database.close()


def _write_names(connection: Connection, payloads: Sequence[bytes]) -> None:
    """Each payload is a name to be kept; one that is not UTF-8 is nobody's name."""
    rows = [{"name": payload.decode(), "value": ""} for payload in payloads]
    connection.execute(insert_or_ignore(connection, meta), rows)


@pytest.fixture
def make_writer(database: Database, tmp_path: Path) -> Callable[..., BatchWriter]:
    """A writer of records of the kind `name`, on the test's own home."""

    def make(
        committed: CommittedHandler | None = None, capacity_bytes: int = 64 * 1024
    ) -> BatchWriter:
        return BatchWriter(
            database,
            tmp_path / "journal",
            {"name": _write_names},
            committed={"name": committed} if committed is not None else None,
            capacity_bytes=capacity_bytes,
        )

    return make


@pytest.fixture
def names(database: Database) -> Callable[[], set[str]]:
    """The names that the database has now."""

    def read() -> set[str]:
        with database.read() as connection:
            return set(connection.execute(select(meta.c.name)).scalars())

    return read
