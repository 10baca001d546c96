"""What makes a workflow run besides the clock: new data, a drift alert, a commit.

Each looks up a text that changes when it happens; what it was last time is kept.
"""

import shutil
import subprocess
from pathlib import Path
from typing import Protocol

from sqlalchemy import func, inspect, select

from headrace.storage.database import Database
from headrace.storage.tables import dataset_versions, metadata
from headrace.workflows.errors import StepFailed
from headrace.workflows.file import TriggerFile
from headrace.workflows.step import Place

__all__ = ["Look", "look_of"]

_GIT_S = 20.0


class Look(Protocol):
    """How to see that something has happened."""

    @property
    def occasion(self) -> str:
        """Names it; part of what a run says of why it was made."""
        ...

    def moment(self, database: Database, place: Place, last: str | None) -> str | None:
        """What it is at now; None: there is nothing to see yet."""
        ...

    def concerns(self, place: Place, last: str, found: str) -> bool:
        """Whether the change is one that was asked for."""
        ...


def look_of(trigger: TriggerFile) -> Look:
    """What a trigger looks at."""
    if trigger.new_data is not None:
        return _NewData(trigger.new_data)
    if trigger.drift is not None:
        return _Drift(trigger.drift)
    assert trigger.commit is not None
    return _Commit(tuple(trigger.commit))


class _NewData:
    """The newest version of a dataset."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.occasion = f"new_data {name}"

    def moment(self, database: Database, place: Place, last: str | None) -> str | None:
        del place, last
        c = dataset_versions.c
        with database.read() as connection:
            newest = connection.execute(
                select(func.max(c.number)).where(c.name == self._name)
            ).scalar()
        # A dataset that is not there yet counts: its first version is new data.
        return f"{self._name}@{newest or 0}"

    def concerns(self, place: Place, last: str, found: str) -> bool:
        del place, last
        return not found.endswith("@0")


class _Drift:
    """The newest drift alert."""

    def __init__(self, signal: str) -> None:
        self._signal = signal
        self.occasion = f"drift {signal}"

    def moment(self, database: Database, place: Place, last: str | None) -> str | None:
        del place, last
        alerts = metadata.tables.get("drift_alerts")
        if alerts is None or not inspect(database.engine).has_table("drift_alerts"):
            return None
        query = select(func.max(alerts.c.id))
        if self._signal != "any":
            query = query.where(alerts.c.signal == self._signal)
        with database.read() as connection:
            return str(connection.execute(query).scalar() or "none")

    def concerns(self, place: Place, last: str, found: str) -> bool:
        del place, last
        return found != "none"


class _Commit:
    """The commit that the service's folder is at."""

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self._patterns = patterns
        self.occasion = f"commit {' '.join(patterns)}"

    def moment(self, database: Database, place: Place, last: str | None) -> str | None:
        del database, last
        head = _git_folder(place.root)
        return None if head is None else _head(head)

    def concerns(self, place: Place, last: str, found: str) -> bool:
        if self._patterns == ("**",):
            return True
        globs = [f":(glob){each}" for each in self._patterns]
        said = _git(place.root, "diff", "--name-only", "--relative", last, found, "--", *globs)
        return bool(said.strip())


def _git_folder(root: Path) -> Path | None:
    """The folder `.git` of the work tree that the service lies in."""
    for folder in (root, *root.parents):
        found = folder / ".git"
        if found.is_file():  # a work tree beside the repository: `gitdir: PATH`
            return (folder / found.read_text("utf-8").partition(":")[2].strip()).resolve()
        if found.is_dir():
            return found
    return None


def _head(git: Path) -> str | None:
    """The commit, read from git's own files: asked every few seconds, a process each is much."""
    head = (git / "HEAD").read_text("utf-8").strip()
    if not head.startswith("ref: "):
        return head
    name = head.removeprefix("ref: ")
    common = git / "commondir"
    places = (
        [git, (git / common.read_text("utf-8").strip()).resolve()] if common.exists() else [git]
    )
    for place in places:
        if (place / name).exists():
            return (place / name).read_text("utf-8").strip()
        packed = place / "packed-refs"
        for line in packed.read_text("utf-8").splitlines() if packed.exists() else ():
            if line.endswith(f" {name}"):
                return line.partition(" ")[0]
    return None


def _git(root: Path, *args: str) -> str:
    program = shutil.which("git")
    if program is None:
        raise StepFailed("`commit:` with patterns needs the program git", hint="install git")
    try:
        done = subprocess.run(  # noqa: S603 - git, by its path, with arguments of our own
            [program, "-C", str(root), *args],
            capture_output=True,
            text=True,
            timeout=_GIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise StepFailed("git did not answer in time") from error
    if done.returncode:
        raise StepFailed(f"git {args[0]}: {done.stderr.strip()[:200]}")
    return done.stdout
