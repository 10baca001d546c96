"""A folder with workflows, a package of operations beside it, and an engine in this process."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from headrace.storage.database import Database
from headrace.workflows.lease import Lease
from headrace.workflows.operation import _entries, operation_type
from headrace.workflows.run import Run, StepRun
from headrace.workflows.store import RunStore
from headrace.workflows.workflow import find_workflow
from tests.running import wait_for

__all__ = ["Bench"]

TALLY = '''"""An operation of somebody's own package, which writes down whenever it is begun."""

import os
import time
from pathlib import Path

from headrace.workflows.errors import StepStopped
from headrace.workflows.operation import Operation, Settings


class TallySettings(Settings, frozen=True):
    numbers: list[int] = []
    fail_until: int = 0


class Tally(Operation):
    """Adds one to the sum of some numbers, and leaves it in a file too."""

    Settings = TallySettings
    returns = ("n",)
    writes = {"text": "n.txt"}

    def run(self, settings, context):
        log = os.open(context.root / "began.log", os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(log, f"{context.step}\\n".encode())
        os.close(log)
        if context.attempt <= settings.fail_until:
            raise RuntimeError("not yet")
        n = 1 + sum(settings.numbers)
        (context.folder / "n.txt").write_text(str(n))
        return {"n": n}


class Patient(Operation):
    """Waits until it is ended, and writes down that it was asked to."""

    returns = ()
    runs_apart = True

    def run(self, settings, context):
        try:
            (context.root / "waits.part").write_text(str(os.getpid()))
            (context.root / "waits.part").rename(context.root / "waits")
            time.sleep(600)
        except StepStopped:
            (context.root / "ended").touch()
            raise
'''


def install_operations(folder: Path) -> None:
    """As a package brings them: a module, and entry points."""
    folder.mkdir(exist_ok=True)
    (folder / "tally_operation.py").write_text(TALLY)
    info = folder / "tally_operation-1.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tally-operation\nVersion: 1\n")
    (info / "entry_points.txt").write_text(
        "[headrace.operations]\ntally = tally_operation:Tally\npatient = tally_operation:Patient\n"
    )


@dataclass
class Bench:
    """A folder whose workflows can be run."""

    root: Path
    home: Path
    database: Database
    store: RunStore

    def write(self, text: str, name: str = "w") -> None:
        (self.root / "workflows").mkdir(exist_ok=True)
        (self.root / "workflows" / f"{name}.yaml").write_text(text, encoding="utf-8")

    def create(self, name: str = "w", *, forced: bool = False, **given: object) -> Run:
        return self.store.create(
            find_workflow(name, self.root, os.environ), dict(given), forced=forced, who="somebody"
        )

    @contextmanager
    def engine(self, lease: Lease | None = None) -> Iterator[None]:
        from headrace.workflows.engine import open_engine
        from headrace.workflows.step import Place

        place = Place(root=self.root, home=self.home, environ=os.environ)
        with open_engine(self.database, place, lease=lease):
            yield

    def ended(self, run: Run) -> tuple[Run, dict[str, StepRun]]:
        wait_for(lambda: self.store.get(run.id).has_ended)
        return self.store.get(run.id), self.store.steps(run.id)

    def run(
        self, text: str, *, forced: bool = False, **given: object
    ) -> tuple[Run, dict[str, StepRun]]:
        """Run a workflow from its text to its end; an engine must be open."""
        self.write(text)
        return self.ended(self.create("w", forced=forced, **given))

    @property
    def began(self) -> list[str]:
        """The steps that `tally` was begun for, in order, each as often as it was."""
        log = self.root / "began.log"
        return log.read_text().splitlines() if log.exists() else []

    def text(self, step: StepRun, name: str = "text") -> str:
        from headrace.workflows.artifact import Workspace

        assert step.outcome is not None
        return Workspace(self.home).path(step.outcome.artifacts[name]).read_text()


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package that brings operations, not on anybody's path yet."""
    folder = tmp_path_factory.mktemp("package")
    install_operations(folder)
    return folder


@pytest.fixture
def operations(package: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The package where this process and those that it starts find it, for this test alone."""
    monkeypatch.setenv("PYTHONPATH", str(package))
    monkeypatch.syspath_prepend(str(package))
    forget_operations()
    yield package
    monkeypatch.undo()
    forget_operations()


def name_server(root: Path, database: Database) -> None:
    """Let the commands that are called in a folder find its database, when that is a server's."""
    url = database.engine.url
    if url.get_backend_name() != "sqlite":
        address = url.set(drivername="postgresql").render_as_string(hide_password=False)
        (root / "headrace.yaml").write_text(f"database: {address}\n")


def forget_operations() -> None:
    _entries.cache_clear()
    operation_type.cache_clear()


@pytest.fixture
def make_bench(operations: Path) -> Iterator[Callable[[Path], Bench]]:
    del operations
    opened: list[Database] = []

    def make(root: Path) -> Bench:
        home = root / ".headrace"
        home.mkdir(mode=0o700)
        database = Database.open(home / "state.db")
        opened.append(database)
        name_server(root, database)
        return Bench(root, home, database, RunStore(database))

    yield make
    for each in opened:
        each.close()


@pytest.fixture
def bench(make_bench: Callable[[Path], Bench], tmp_path: Path) -> Bench:
    return make_bench(tmp_path)
