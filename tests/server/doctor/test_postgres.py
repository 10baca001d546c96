"""The database server: what the doctor says of one that is well, and of each thing that is not."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.privacy.vault import Vault
from headrace.server.doctor.database import check_database
from headrace.server.doctor.result import Result
from headrace.server.doctor.site import Site
from headrace.storage.database import Database
from tests.postgres import PostgresServer

Look = Callable[[], Site]


def on(root: Path, address: str, *, knowledge: bool = False) -> list[Result]:
    """What is said of a service whose database is there."""
    path = root / "headrace.yaml"
    text = path.read_text()
    more = "knowledge: {}\n" if knowledge else ""
    path.write_text(f"database: {address}\n{more}{text}")
    try:
        return list(check_database(Site.of(root, {})))
    finally:
        path.write_text(text)


def told(results: list[Result]) -> list[tuple[str, str]]:
    return [(each.check, each.status) for each in results]


@pytest.fixture
def used(root: Path, postgres_database: str) -> str:
    """The address of a database in which somebody's text was encrypted."""
    (root / ".headrace").mkdir(mode=0o700)
    database = Database.open(postgres_database)
    Vault.open(database, root / ".headrace").unlock_now("somebody")
    database.close()
    return postgres_database


def test_a_server_that_is_well_is_said_to_be(root: Path, used: str) -> None:
    results = on(root, used, knowledge=True)
    assert told(results) == [("database", "ok"), ("master key", "ok"), ("knowledge", "ok")]
    assert "PostgreSQL" in results[0].message


def test_a_server_that_does_not_answer_fails_without_its_password(root: Path) -> None:
    (result,) = on(root, "postgresql://ada:s3cret@127.0.0.1:1/x")
    assert result.status == "fail"
    assert "Connection refused" in result.message
    assert "s3cret" not in f"{result}"


def test_a_database_that_is_not_there_fails_with_how_to_make_it(
    root: Path, postgres: PostgresServer
) -> None:
    (result,) = on(root, postgres.address("nowhere"))
    assert (result.status, "createdb" in result.hint) == ("fail", True)


def test_an_empty_database_is_left_empty(root: Path, postgres: PostgresServer) -> None:
    postgres.execute("DROP DATABASE IF EXISTS untouched", "CREATE DATABASE untouched")
    (result,) = on(root, postgres.address("untouched"))
    assert (result.status, "empty" in result.message) == ("ok", True)
    assert postgres.execute("SELECT to_regclass('api_keys')", name="untouched") == [(None,)]


def test_another_gateways_master_key_fails(root: Path, used: str, tmp_path: Path) -> None:
    key = root / ".headrace" / "master.key"
    shutil.move(key, tmp_path / "first.key")
    other = Database.open(tmp_path / "other.db")
    Vault.open(other, root / ".headrace")
    other.close()
    database, master = on(root, used)
    assert (database.status, master.status) == ("ok", "fail")
    assert "copy it from the first" in master.hint
