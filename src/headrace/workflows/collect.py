"""Deletes what runs have left and nothing needs any more.

Kept in any case: what a run that has not ended has made or read, what ended less than `keep_s`
ago, and every artifact whose digest stands in a release (its manifest or its YAML files), in what
is served now, or in a YAML file of the service's folder.
"""

import re
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
from sqlalchemy import delete, or_, select

from headrace.storage.database import Database
from headrace.storage.tables import releases, workflow_results, workflow_runs, workflow_steps
from headrace.workflows.artifact import Workspace
from headrace.workflows.run import Outcome
from headrace.workflows.state import RUN_ENDED

__all__ = ["Collected", "collect"]

JUST_NOW_S = 3600.0
"""A result that was published, or taken again, so lately may belong to a step that is just ending."""
_DIGEST = re.compile(rb"[0-9a-f]{64}")


class Collected(msgspec.Struct, frozen=True, kw_only=True):
    """What went, or would go."""

    artifacts: int
    runs: int
    """Folders of runs."""
    bytes: int
    kept: int
    """Artifacts that stay."""


def collect(
    database: Database,
    root: Path,
    home: Path,
    *,
    keep_s: float,
    dry_run: bool = False,
    now: float | None = None,
) -> Collected:
    """Delete what is older than `keep_s` and not needed."""
    now = time.time() if now is None else now
    before = now - keep_s
    workspace = Workspace(home)
    if not dry_run:
        # First what would hand an artifact to a new run, then the artifacts themselves.
        with database.write() as connection:
            connection.execute(delete(workflow_results).where(workflow_results.c.used_at < before))
    needed = _of_runs(database, before) | _of_releases(database, home) | _of_folder(root)
    artifacts = kept = size = 0
    for digest, published_at in list(workspace.digests()):
        if digest in needed or published_at > max(before, now - JUST_NOW_S):
            kept += 1
            continue
        artifacts += 1
        size += workspace.size(digest) if dry_run else workspace.drop(digest)
    if not dry_run:
        for leftover in workspace.leftovers():
            size += workspace.drop_folder(leftover)
    runs, more = _folders(database, workspace, before, dry_run=dry_run)
    return Collected(artifacts=artifacts, runs=runs, bytes=size + more, kept=kept)


def _of_runs(database: Database, before: float) -> set[str]:
    """Digests in what runs that live, or ended lately, have made; and in results that are kept."""
    c = workflow_runs.c
    steps = (
        select(workflow_steps.c.outcome)
        .join(workflow_runs, c.id == workflow_steps.c.run_id)
        .where(
            workflow_steps.c.outcome.is_not(None),
            or_(c.status.not_in(RUN_ENDED), c.ended_at >= before),
        )
    )
    results = select(workflow_results.c.outcome).where(workflow_results.c.used_at >= before)
    found: set[str] = set()
    with database.read() as connection:
        for query in (steps, results):
            for packed in connection.execute(query).scalars():
                outcome = msgspec.msgpack.decode(packed, type=Outcome)
                found.update(each.sha256 for each in outcome.artifacts.values())
    return found


def _of_releases(database: Database, home: Path) -> set[str]:
    """Every digest that any release names."""
    found: set[str] = set()
    with database.read() as connection:
        for row in connection.execute(select(releases)).mappings():
            for value in row.values():
                data = value.encode() if isinstance(value, str) else value
                if isinstance(data, bytes):
                    found |= _digests(data)
    for path in (home / "releases").rglob("*"):
        # Blobs are the releases' own files, YAML among them; weights would be far larger.
        if path.is_file() and path.stat().st_size < 1 << 20:
            found |= _digests(path.read_bytes())
    for path in home.glob("serving*.json"):
        found |= _digests(path.read_bytes())
    return found


def _of_folder(root: Path) -> set[str]:
    found: set[str] = set()
    for pattern in ("*.yaml", "*/*.yaml"):
        for path in root.glob(pattern):
            found |= _digests(path.read_bytes())
    return found


def _digests(data: bytes) -> set[str]:
    return {each.decode() for each in _DIGEST.findall(data)}


def _folders(
    database: Database, workspace: Workspace, before: float, *, dry_run: bool
) -> tuple[int, int]:
    c = workflow_runs.c
    query = select(c.id).where(or_(c.status.not_in(RUN_ENDED), c.ended_at >= before))
    with database.read() as connection:
        living = set(connection.execute(query).scalars())
    count = size = 0
    for run_id, folder in _unneeded(workspace, living):
        del run_id
        count += 1
        if not dry_run:
            size += workspace.drop_folder(folder)
    return count, size


def _unneeded(workspace: Workspace, living: set[str]) -> Iterator[tuple[str, Path]]:
    for run_id, folder in list(workspace.runs()):
        if run_id not in living:
            yield run_id, folder
