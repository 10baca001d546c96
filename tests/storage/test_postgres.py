"""PostgreSQL as the database: what is not the same by itself as on SQLite."""

import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, insert, make_url, select, text

from headrace.storage.database import HEAD, Database
from headrace.storage.errors import SchemaTooNew, StateUnusable
from headrace.storage.postgres import copy_or_ignore, shown
from headrace.storage.tables import dataset_versions, meta, metadata
from headrace.storage.writer import BatchWriter
from tests.postgres import PostgresServer
from tests.running import wait_for


@pytest.fixture
def database(postgres_database: str) -> Iterator[Database]:
    database = Database.open(postgres_database)
    yield database
    database.close()


def test_migrations_make_exactly_the_tables(database: Database) -> None:
    with database.read() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, metadata) == []


def test_many_may_open_a_new_database_at_once(postgres: PostgresServer) -> None:
    postgres.execute("CREATE DATABASE opened_at_once")
    address = postgres.address("opened_at_once")
    opened: list[str | None] = []

    def open_one() -> None:
        database = Database.open(address)
        opened.append(database.revision())
        database.close()

    threads = [threading.Thread(target=open_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == [HEAD] * 4


def test_a_newer_schema_is_refused(postgres_database: str) -> None:
    database = Database.open(postgres_database)
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(SchemaTooNew, match="'9999'"):
        Database.open(postgres_database)


@pytest.mark.parametrize(
    ("address", "says", "hint"),
    [
        ("postgresql://ada:s3cret@127.0.0.1:1/x", "Connection refused", "the server runs"),
        ("postgresql://ada:s3cret@no.such.invalid/x", "no.such.invalid", "address"),
    ],
)
def test_what_cannot_be_reached_is_said_without_the_password(
    address: str, says: str, hint: str
) -> None:
    with pytest.raises(StateUnusable, match=says) as raised:
        Database.open(address)
    assert hint in raised.value.hint
    assert "s3cret" not in f"{raised.value}{raised.value.__cause__}"


def test_a_database_that_is_not_there_is_said_and_how_to_make_it(postgres: PostgresServer) -> None:
    with pytest.raises(StateUnusable, match='database "nowhere" does not exist') as raised:
        Database.open(postgres.address("nowhere"))
    assert "createdb" in raised.value.hint


def test_a_user_who_may_not_make_tables_is_told_what_to_grant(postgres: PostgresServer) -> None:
    postgres.execute("CREATE DATABASE somebodys", "CREATE ROLE reader LOGIN")
    address = postgres.address("somebodys").replace("//headrace@", "//reader@")
    with pytest.raises(StateUnusable, match="permission denied") as raised:
        Database.open(address)
    assert "OWNER" in raised.value.hint


def test_without_the_driver_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(StateUnusable) as raised:
        Database.open("postgresql://127.0.0.1:1/x")
    assert "headrace[postgres]" in raised.value.hint


def test_an_address_is_shown_without_what_may_be_secret() -> None:
    url = make_url("postgresql+psycopg://ada:s3cret@db/x?sslpassword=hidden")
    assert shown(url) == "postgresql://ada:***@db/x"


def test_connections_that_the_server_ended_are_replaced(
    database: Database, postgres: PostgresServer
) -> None:
    with database.read() as connection:
        name = connection.execute(text("SELECT current_database()")).scalar_one()
    postgres.execute(
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"
    )
    with database.write() as connection:
        connection.execute(insert(meta), {"name": "after", "value": ""})


def test_who_writes_what_depends_on_what_is_there_waits_for_the_other(database: Database) -> None:
    """Without the lock both would read the same number."""
    with database.write() as connection:
        connection.execute(insert(meta), {"name": "count", "value": "0"})
    mine = select(meta.c.value).where(meta.c.name == "count")

    def count() -> None:
        for _ in range(20):
            with database.write() as connection:
                value = int(connection.execute(mine).scalar_one()) + 1
                changed = meta.update().where(meta.c.name == "count").values(value=str(value))
                connection.execute(changed)

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as connection:
        assert connection.execute(mine).scalar_one() == "80"


def test_names_are_ordered_by_code_point_whatever_the_server_s_language(
    database: Database,
) -> None:
    names = ["b", "A", "a-b", "aa", "Ä", "水", "_"]
    with database.write() as connection:
        connection.execute(insert(meta), [{"name": each, "value": ""} for each in names])
        found = connection.execute(select(meta.c.name).order_by(meta.c.name)).scalars().all()
    assert found == sorted(names)


def test_text_that_postgresql_cannot_hold_is_kept_as_well_as_can_be(database: Database) -> None:
    with database.write() as connection:
        connection.execute(insert(meta), {"name": "nul\0here", "value": "half \ud83d"})
        copy_or_ignore(connection, meta, ["name", "value"], [("copied\0", "half \ud83d")])
        rows = connection.execute(select(meta.c.name, meta.c.value).order_by(meta.c.name)).all()
    assert [tuple(row) for row in rows] == [("copied\ufffd", "half ?"), ("nul\ufffdhere", "half ?")]


def test_a_copied_row_that_is_there_already_stays(database: Database) -> None:
    for value in ("first", "second"):
        with database.write() as connection:
            copy_or_ignore(connection, meta, ["name", "value"], [("a", value), ("b" + value, "")])
    with database.read() as connection:
        rows = connection.execute(select(meta.c.name, meta.c.value).order_by(meta.c.name)).all()
    assert [tuple(row) for row in rows] == [("a", "first"), ("bfirst", ""), ("bsecond", "")]


def _copy_rows(connection: Connection, payloads: Sequence[bytes]) -> None:
    """Each payload is a number of rows; PostgreSQL takes no more than 31 bits of it."""
    names = ["name", "number", "digest", "rows", "manifest", "created_at"]
    rows = [(f"d{each.decode()}", 1, "", int(each), b"", 0.0) for each in payloads]
    copy_or_ignore(connection, dataset_versions, names, rows)


async def test_a_row_that_the_server_refuses_is_put_aside_and_the_rest_is_kept(
    database: Database, tmp_path: Path
) -> None:
    writer = BatchWriter(database, tmp_path / "journal", {"rows": _copy_rows})
    writer.start()
    for number in (1, 2**40, 3):
        assert writer.append("rows", str(number).encode())
    await writer.flush()
    writer.close()
    with database.read() as connection:
        kept = connection.execute(select(dataset_versions.c.rows)).scalars()
        assert sorted(kept) == [1, 3]
    assert writer.rejected == 1


async def test_records_wait_in_the_journal_while_the_server_lets_nobody_in(
    database: Database, postgres: PostgresServer, tmp_path: Path
) -> None:
    with database.read() as connection:
        name = connection.execute(text("SELECT current_database()")).scalar_one()
    writer = BatchWriter(database, tmp_path / "journal", {"rows": _copy_rows})
    writer.start()
    postgres.execute(
        f"ALTER DATABASE {name} ALLOW_CONNECTIONS false",
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'",
    )
    assert writer.append("rows", b"7")
    wait_for(lambda: writer.failure)
    assert writer.pending_bytes
    postgres.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    await writer.flush()
    assert writer.failure is None
    assert writer.rejected == 0
    writer.close()
