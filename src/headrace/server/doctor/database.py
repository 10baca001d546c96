"""The database and the key to its texts, looked at without migrating or writing."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from headrace.errors import HeadraceError
from headrace.privacy.master import MASTER_KEY_FILE, MASTER_KEY_VARIABLE, MasterKey
from headrace.privacy.vault import MASTER_KEY_CHECK, Vault
from headrace.server.doctor.result import Result, fail, failure, ok, warn
from headrace.server.doctor.site import Site
from headrace.server.state import DATABASE_FILE
from headrace.storage.database import HEAD, Database

__all__ = ["check_database", "is_current"]

RESTORE = "restore the home folder from your backup, or move the file away to begin anew"


def check_database(site: Site) -> Iterator[Result]:
    """Whether it is sound, of the schema this version has, and its master key is there."""
    if site.config is not None and site.config.database is not None:
        # The driver's import, so only for those who have a server.
        from headrace.server.doctor.postgres import check_server

        yield from check_server(site, site.config.database)
        return
    path = site.home / DATABASE_FILE
    if not path.exists():
        yield ok("database", "none yet; made at the first start")
        yield from _check_new_key(site)
        return
    try:
        revision, soundness, is_sealed = _look(path)
    except sqlite3.Error as error:
        yield fail("database", f"{path} cannot be read: {error}", hint=RESTORE)
        return
    if soundness != "ok":
        yield fail("database", f"{path} is damaged: {soundness}", hint=RESTORE)
        return
    if revision is not None and revision > HEAD:
        yield fail(
            "database",
            f"{path} has schema {revision}; this version knows {HEAD}",
            hint="upgrade Headrace to the version that wrote it",
        )
        return
    size = f"{_size(path) / 1e6:.1f} MB"
    if revision != HEAD:
        yield warn(
            "database",
            f"{path}, {size}, has schema {revision or 'none'}; this version brings {HEAD}",
            hint="the next `headrace up` upgrades it; keep a copy of the home folder until then",
        )
        return
    yield ok("database", f"{path}, {size}, schema {revision}")
    yield from _check_master_key(site, path) if is_sealed else _check_new_key(site)


def _check_new_key(site: Site) -> Iterator[Result]:
    """The key that the first text is going to be sealed with, where there is one already."""
    key = site.home / MASTER_KEY_FILE
    try:
        if MasterKey.given(site.environ) is not None:
            yield ok("master key", f"{MASTER_KEY_VARIABLE}; nothing is encrypted so far")
        elif key.exists():
            MasterKey.load(key)
            yield ok("master key", f"{key}; nothing is encrypted so far")
        elif (site.home / DATABASE_FILE).exists():
            yield ok("master key", "none yet; nothing is encrypted so far")
    except HeadraceError as error:
        yield failure("master key", error)


def _check_master_key(site: Site, path: Path) -> Iterator[Result]:
    """Whether the key is the one that this database was written with."""
    is_given = MASTER_KEY_VARIABLE in site.environ
    key = MASTER_KEY_VARIABLE if is_given else site.home / MASTER_KEY_FILE
    try:
        database = Database.open(path)
        try:
            Vault.open(database, site.home, environ=site.environ)
        finally:
            database.close()
    except HeadraceError as error:
        yield failure("master key", error)
        return
    yield ok("master key", f"{key} fits; keep a copy of it elsewhere")


def is_current(path: Path) -> bool:
    """Whether it can be opened without changing it: it is there, sound, and of this schema."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)) as opened:
            row = opened.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.Error:
        return False
    return row is not None and row[0] == HEAD


def _size(path: Path) -> int:
    """Bytes of the database with its write-ahead log."""
    log = path.with_name(f"{path.name}-wal")
    return path.stat().st_size + (log.stat().st_size if log.exists() else 0)


def _look(path: Path) -> tuple[str | None, str, bool]:
    """The schema's revision, SQLite's own verdict, and whether it was written with a master key."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=5)) as connection:
        soundness = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master")}
        if "alembic_version" not in tables:
            return None, soundness, False
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        is_sealed = False
        if {"meta", "subject_keys"} <= tables:
            found = connection.execute(
                "SELECT EXISTS (SELECT 1 FROM meta WHERE name = ?)"
                " OR EXISTS (SELECT 1 FROM subject_keys)",
                (MASTER_KEY_CHECK,),
            ).fetchone()
            is_sealed = bool(found[0])
        return (None if row is None else str(row[0])), soundness, is_sealed
