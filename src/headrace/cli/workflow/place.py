"""What the commands share: the store of the folder's runs, and how runs are shown."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from headrace.cli.place import Place
from headrace.cli.terminal import console, is_unicode
from headrace.workflows.run import Run, StepRun
from headrace.workflows.state import StepStatus
from headrace.workflows.store import RunStore
from headrace.workflows.workflow import Workflow, find_workflow, read_workflow

__all__ = [
    "at_local",
    "described",
    "described_run",
    "new_store",
    "sign",
    "store",
    "took",
    "workflow_of",
]

_SIGNS: Mapping[StepStatus, tuple[str, str]] = {
    "succeeded": ("✓", "+"), "unchanged": ("=", "="), "skipped": ("–", "-"), "failed": ("✗", "x"),
    "blocked": ("·", "."), "cancelled": ("∅", "0"), "running": ("▶", ">"), "waiting": ("?", "?"),
    "pending": (" ", " "),
}  # fmt: skip


@contextmanager
def store() -> Iterator[tuple[Place, RunStore]]:
    """The runs that are there.

    Raises:
        NotFound: nothing has run here yet.
    """
    place = Place.here()
    with place.database() as database:
        yield place, RunStore(database)


@contextmanager
def new_store() -> Iterator[tuple[Place, RunStore]]:
    """The same, made if it was not there."""
    place = Place.here()
    with place.new_database() as database:
        yield place, RunStore(database)


def workflow_of(name: str) -> Workflow:
    """The workflow of a name, or of a file.

    Raises:
        UnknownWorkflow, ConfigError: there is none, or it is wrong.
    """
    root = Path.cwd()
    if name.endswith((".yaml", ".yml")):
        return read_workflow(Path(name), os.environ, root)
    return find_workflow(name, root, os.environ)


def described_run(run: Run) -> dict[str, object]:
    """A run among others, for machines."""
    return {
        "id": run.id,
        "workflow": run.workflow,
        "status": run.status,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "ended_at": run.ended_at,
        "trigger": run.trigger,
        "who": run.who,
        "error": run.error,
    }


def described(run: Run, steps: Mapping[str, StepRun]) -> dict[str, object]:
    """A run with its steps, for machines."""
    return {
        **described_run(run),
        "variables": run.variables,
        "attempt": run.attempt,
        "steps": [
            {
                "step": each.step,
                "operation": each.operation,
                "status": each.status,
                "attempt": each.attempt,
                "started_at": each.started_at,
                "ended_at": each.ended_at,
                "note": each.note,
                "error": each.error,
                "values": {} if each.outcome is None else each.outcome.values,
                "artifacts": {} if each.outcome is None else each.outcome.artifacts,
            }
            for each in steps.values()
        ],
    }


def sign(status: StepStatus) -> str:
    """One letter for a step's status, as the terminal can show it."""
    return _SIGNS[status][0 if is_unicode(console()) else 1]


def took(started_at: float | None, ended_at: float | None) -> str:
    """How long something took, for people; empty when it never began or has not ended."""
    if started_at is None or ended_at is None:
        return ""
    seconds = ended_at - started_at
    if seconds < 60:
        return f"{seconds:.1f} s"
    if seconds < 3600:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def at_local(moment: datetime, zone: str) -> str:
    """A time on the wall clocks of a zone."""
    from zoneinfo import ZoneInfo

    return (
        moment.replace(tzinfo=moment.tzinfo or UTC)
        .astimezone(ZoneInfo(zone))
        .isoformat(" ", "minutes")
    )
