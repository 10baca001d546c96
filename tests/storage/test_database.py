"""The database: private, durable, migrated when opened, and cheap to open again."""

import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import delete, func, insert, select, text

from headrace.storage.database import HEAD, Database, insert_or_ignore, upsert
from headrace.storage.errors import SchemaTooNew, StateUnusable
from headrace.storage.migrations.upgrade import alembic_config
from headrace.storage.tables import meta, metadata
from tests.sqlite import dumped, migrate_at_once


def test_file_and_folder_are_for_their_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "home" / "state.db"
    database = Database.open(path)
    with database.write() as connection:
        connection.execute(insert(meta), {"name": "a", "value": "b"})
    modes = {each.name: each.stat().st_mode & 0o777 for each in path.parent.iterdir()}
    assert modes == {"state.db": 0o600, "state.db-wal": 0o600, "state.db-shm": 0o600}
    assert path.parent.stat().st_mode & 0o777 == 0o700
    database.close()


@pytest.mark.parametrize(
    ("pragma", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 1),
        ("foreign_keys", 1),
        ("busy_timeout", 5000),
        ("secure_delete", 1),
        ("auto_vacuum", 2),
    ],
)
def test_sqlite_runs_as_the_design_says(database: Database, pragma: str, value: object) -> None:
    with database.read() as connection:
        assert connection.exec_driver_sql(f"PRAGMA {pragma}").scalar() == value


def test_migrations_make_exactly_the_tables(database: Database) -> None:
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_what_is_made_in_one_go_is_what_the_migrations_make(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Database, "_migrate", migrate_at_once)
    at_once = Database.open(tmp_path / "at_once.db")
    assert dumped(at_once) == dumped(database)
    at_once.close()


def test_head_is_the_newest_migration(database: Database) -> None:
    with database.read() as connection:
        script = ScriptDirectory.from_config(alembic_config(connection))
    assert script.get_current_head() == HEAD
    assert database.revision() == HEAD


def test_a_second_start_does_without_alembic(tmp_path: Path) -> None:
    Database.open(tmp_path / "state.db").close()
    script = f"""
import sys
from headrace.storage.database import Database
Database.open({str(tmp_path / "state.db")!r}).close()
print("alembic" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "False"


def test_many_may_open_a_new_database_at_once(tmp_path: Path) -> None:
    opened: list[str | None] = []

    def open_one() -> None:
        database = Database.open(tmp_path / "state.db")
        opened.append(database.revision())
        database.close()

    threads = [threading.Thread(target=open_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == [HEAD] * 4


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "state.db")
    with database.write() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.close()
    with pytest.raises(SchemaTooNew, match="'9999'"):
        Database.open(tmp_path / "state.db")


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"these are not the pages you are looking for" * 100)
    with pytest.raises(StateUnusable, match="not a database"):
        Database.open(tmp_path / "state.db")


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StateUnusable, match="cannot be created"):
        Database.open(tmp_path / "file" / "state.db")


def test_a_failed_write_leaves_nothing(database: Database) -> None:
    with pytest.raises(RuntimeError), database.write() as connection:
        connection.execute(insert(meta), {"name": "half", "value": ""})
        raise RuntimeError
    with database.read() as connection:
        assert connection.execute(select(func.count()).select_from(meta)).scalar() == 0


def test_a_reader_sees_one_state_while_others_write(database: Database) -> None:
    with database.read() as reader:
        assert reader.execute(select(func.count()).select_from(meta)).scalar() == 0
        with database.write() as writer:
            writer.execute(insert(meta), {"name": "new", "value": ""})
        assert reader.execute(select(func.count()).select_from(meta)).scalar() == 0


def test_insert_or_ignore_keeps_the_first_and_upsert_the_last(database: Database) -> None:
    with database.write() as connection:
        connection.execute(insert_or_ignore(connection, meta), [{"name": "a", "value": "first"}])
        connection.execute(insert_or_ignore(connection, meta), [{"name": "a", "value": "second"}])
        assert connection.execute(select(meta.c.value)).scalar() == "first"
        connection.execute(upsert(connection, meta, ["value"]), [{"name": "a", "value": "third"}])
        assert connection.execute(select(meta.c.value)).scalar() == "third"


def test_space_of_deleted_rows_goes_back_to_the_disk(tmp_path: Path) -> None:
    database = Database.open(tmp_path / "state.db")
    database.checkpoint()
    empty = (tmp_path / "state.db").stat().st_size
    with database.write() as connection:
        rows = [{"name": str(n), "value": "x" * 5000} for n in range(2000)]
        connection.execute(insert(meta), rows)
    database.checkpoint()
    assert (tmp_path / "state.db").stat().st_size > 10_000_000
    with database.write() as connection:
        connection.execute(delete(meta))
    database.shrink()
    assert (tmp_path / "state.db").stat().st_size <= empty + 8192
    database.close()


def test_space_is_given_back_later_while_another_process_writes(
    database: Database,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    with database.write() as connection:
        rows = [{"name": str(n), "value": "x" * 5000} for n in range(1000)]
        connection.execute(insert(meta), rows)
    with database.write() as connection:
        connection.execute(delete(meta))
    database.checkpoint()
    before = (tmp_path / "state.db").stat().st_size
    monkeypatch.setattr("headrace.storage.database.BUSY_TIMEOUT_S", 0.05)
    impatient = Database.open(tmp_path / "state.db")
    other = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    impatient.shrink()
    assert "given back later: database is locked" in caplog.text
    other.execute("ROLLBACK")
    other.close()
    impatient.shrink()
    assert (tmp_path / "state.db").stat().st_size < before / 10
    impatient.close()


def test_a_checkpoint_does_not_wait_for_a_reader_that_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headrace.storage.database.BUSY_TIMEOUT_S", 0.05)
    database = Database.open(tmp_path / "state.db")
    with database.read() as reader:
        reader.execute(select(meta)).all()
        with database.write() as connection:
            connection.execute(insert(meta), {"name": "new", "value": ""})
        database.checkpoint()
    database.close()
