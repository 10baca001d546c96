"""A database and a journal in a folder of their own."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from sqlalchemy import Connection, select

from headrace.storage.database import Database, insert_or_ignore
from headrace.storage.tables import meta


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(tmp_path / "state.db")
    yield database
    database.close()


def write_names(connection: Connection, payloads: Sequence[bytes]) -> None:
    """A handler: each payload is a name to be kept."""
    rows = [{"name": payload.decode(), "value": ""} for payload in payloads]
    connection.execute(insert_or_ignore(connection, meta), rows)


def names(database: Database) -> set[str]:
    with database.read() as connection:
        return set(connection.execute(select(meta.c.name)).scalars())
