"""The home, the database and the master key: each check fails for its own reason."""

import os
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path

import pytest

from headrace.privacy.master import MASTER_KEY_VARIABLE
from headrace.privacy.vault import Vault
from headrace.server.doctor.database import check_database
from headrace.server.doctor.home import check_home
from headrace.server.doctor.result import Result
from headrace.server.doctor.site import Site
from headrace.storage.database import Database

Look = Callable[[], Site]
GIVEN = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="


@pytest.fixture
def home(root: Path) -> Path:
    """A home that has been used: somebody's text was encrypted."""
    home = root / ".headrace"
    home.mkdir(mode=0o700)
    database = Database.open(home / "state.db")
    Vault.open(database, home).unlock_now("somebody")
    database.close()
    return home


def told(results: Iterable[Result]) -> list[tuple[str, str]]:
    return [(each.check, each.status) for each in results]


def test_a_used_home_is_well(site: Look, home: Path) -> None:
    assert told(check_home(site())) == [("home", "ok")]
    assert told(check_database(site())) == [("database", "ok"), ("master key", "ok")]


def test_before_the_first_start_nothing_is_wrong_and_nothing_is_made(
    site: Look, root: Path
) -> None:
    before = sorted(root.iterdir())
    assert told(check_home(site())) == [("home", "ok")]
    assert told(check_database(site())) == [("database", "ok")]
    assert sorted(root.iterdir()) == before


def test_a_home_that_others_may_enter_warns(site: Look, home: Path) -> None:
    home.chmod(0o755)
    (result,) = check_home(site())
    assert result.status == "warn"
    assert result.hint == f"chmod 700 {home}"


def test_a_key_that_others_may_read_fails(site: Look, home: Path) -> None:
    (home / "master.key").chmod(0o644)
    (result,) = check_home(site())
    assert result.status == "fail"
    assert result.hint == f"chmod 600 {home / 'master.key'}"


def test_a_home_that_is_a_file_fails(site: Look, root: Path) -> None:
    (root / ".headrace").write_text("")
    assert told(check_home(site())) == [("home", "fail")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_somebody_elses_home_fails(site: Look, home: Path) -> None:
    os.chown(home, 12345, 12345)
    (result,) = check_home(site())
    assert result.status == "fail"
    assert "uid 12345" in result.message


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_fails(site: Look, root: Path) -> None:
    root.chmod(0o500)
    try:
        assert told(check_home(site())) == [("home", "fail")]
    finally:
        root.chmod(0o700)


def test_a_damaged_database_fails(site: Look, home: Path) -> None:
    path = home / "state.db"
    data = bytearray(path.read_bytes())
    data[4096:12288] = b"\xff" * 8192
    path.write_bytes(data)
    assert told(check_database(site())) == [("database", "fail")]


def test_a_file_that_is_no_database_fails(site: Look, home: Path) -> None:
    (home / "state.db").write_bytes(b"something else entirely" * 300)
    assert told(check_database(site())) == [("database", "fail")]


def test_a_newer_schema_fails_and_an_older_one_warns(site: Look, home: Path) -> None:
    with closing(sqlite3.connect(home / "state.db")) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()
        assert told(check_database(site())) == [("database", "fail")]
        connection.execute("UPDATE alembic_version SET version_num = '0000'")
        connection.commit()
    assert told(check_database(site())) == [("database", "warn")]


def test_a_missing_master_key_fails(site: Look, home: Path) -> None:
    (home / "master.key").unlink()
    assert told(check_database(site()))[1] == ("master key", "fail")


def test_a_key_from_the_environment_counts_instead_of_the_file(root: Path, home: Path) -> None:
    text = (home / "master.key").read_text()
    (home / "master.key").unlink()

    def told_with(key: str) -> list[tuple[str, str]]:
        return told(check_database(Site.of(root, {MASTER_KEY_VARIABLE: key})))

    assert told_with(text)[1] == ("master key", "ok")
    assert told_with(GIVEN)[1] == ("master key", "fail")
    (home / "state.db").unlink()
    assert told_with(GIVEN) == [("database", "ok"), ("master key", "ok")]
    assert told_with("no key")[1] == ("master key", "fail")


def test_a_key_that_nothing_was_sealed_with_is_not_noted_by_looking(root: Path) -> None:
    home = root / ".headrace"
    home.mkdir(mode=0o700)
    Database.open(home / "state.db").close()
    site = Site.of(root, {MASTER_KEY_VARIABLE: GIVEN})
    assert told(check_database(site))[1] == ("master key", "ok")
    with closing(sqlite3.connect(home / "state.db")) as connection:
        assert connection.execute("SELECT count(*) FROM meta").fetchone() == (0,)


def test_another_databases_master_key_fails(site: Look, home: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    database = Database.open(other / "state.db")
    Vault.open(database, other)
    database.close()
    (home / "master.key").write_bytes((other / "master.key").read_bytes())
    assert told(check_database(site()))[1] == ("master key", "fail")
