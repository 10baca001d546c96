"""A long workflow whose process is killed at random moments, and what must be true in the end.

    .venv/bin/python -m tests.workflows.killed --steps 1000 --kills 20

Steps stand in chains side by side. Each adds one to the sum of those that it needs, writes the sum
to a file too, and notes in a log that it was begun. In the end every sum must be right, and no
step may have been begun more often than kills explain: what was noted as done is never done again.
"""

import argparse
import os
import random
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from headrace.storage.database import Database
from headrace.workflows.artifact import Workspace
from headrace.workflows.run import Run
from headrace.workflows.store import RunStore
from headrace.workflows.workflow import find_workflow
from tests.running import HEADRACE
from tests.workflows.conftest import forget_operations, install_operations, name_server

__all__ = ["Endured", "endure"]

CHAINS = 4
LONGEST_S = 900.0


@dataclass(frozen=True)
class Endured:
    """What came of it."""

    status: str
    kills: int
    begun: int
    """How often any step was begun."""
    repeated: int
    """Steps that were begun more than once."""
    wrong: list[str]
    """Steps whose number or file is not what it must be."""
    published: int
    """Files that were kept."""
    seconds: float


def workflow_text(steps: int) -> str:
    lines = [f"parallel: {CHAINS}", "steps:"]
    for i in range(steps):
        numbers = f'["{{{{ steps.s{i - CHAINS}.n }}}}"]' if i >= CHAINS else f"[{i * 100_000}]"
        lines.append(f"  s{i}: {{operation: tally, parameters: {{numbers: {numbers}}}}}")
    return "\n".join(lines)


def number(i: int) -> int:
    """What step `i` must give."""
    return (i % CHAINS) * 100_000 + i // CHAINS + 1


def endure(root: Path, *, steps: int, kills: int, seed: int) -> Endured:
    """Run it, killing whoever runs it."""
    chance = random.Random(seed)
    (root / "workflows").mkdir()
    (root / "workflows" / "long.yaml").write_text(workflow_text(steps))
    home = root / ".headrace"
    home.mkdir(mode=0o700)
    log = root / "began.log"
    log.touch()
    began = time.monotonic()
    database = Database.open(home / "state.db")
    name_server(root, database)
    try:
        store = RunStore(database)
        run = store.create(find_workflow("long", root, os.environ), {})
        done = 0
        for _ in range(kills):
            target = done + max(1, int(chance.random() * 2 * (steps - done) / (kills + 1)))
            done = _killed(root, store, run, log, target, chance)
        found = run
        while not found.has_ended:
            subprocess.run(
                [HEADRACE, "workflow", "resume", run.id], cwd=root, capture_output=True, check=False
            )
            found = store.get(run.id)
            assert time.monotonic() - began < LONGEST_S, "it does not end"
        return _judged(store, home, found, log, steps, kills, time.monotonic() - began)
    finally:
        database.close()


def _killed(
    root: Path, store: RunStore, run: Run, log: Path, target: int, chance: random.Random
) -> int:
    """Go on with the run until so many steps have begun, a moment more, and then kill -9."""
    process = subprocess.Popen(
        [HEADRACE, "workflow", "resume", run.id],
        cwd=root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    until = time.monotonic() + LONGEST_S
    while _lines(log) < target and process.poll() is None:
        assert time.monotonic() < until, "it stands still"
        time.sleep(0.001)
    time.sleep(chance.random() * 0.02)
    process.kill()
    process.wait()
    assert not store.get(run.id).has_ended, "it ended before it could be killed"
    return _lines(log)


def _lines(log: Path) -> int:
    return log.read_bytes().count(b"\n")


def _judged(
    store: RunStore, home: Path, run: Run, log: Path, steps: int, kills: int, seconds: float
) -> Endured:
    found, workspace = store.steps(run.id), Workspace(home)
    wrong: list[str] = []
    for i in range(steps):
        outcome = found[f"s{i}"].outcome if f"s{i}" in found else None
        right = str(number(i))
        if (
            outcome is None
            or str(outcome.values.get("n")) != right
            or workspace.path(outcome.artifacts["text"]).read_text() != right
        ):
            wrong.append(f"s{i}")
    begun = Counter(log.read_text().splitlines())
    return Endured(
        status=run.status,
        kills=kills,
        begun=begun.total(),
        repeated=sum(count > 1 for count in begun.values()),
        wrong=wrong,
        published=len({digest for digest, _ in workspace.digests()}),
        seconds=seconds,
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        package = Path(temporary) / "package"
        install_operations(package)
        os.environ["PYTHONPATH"] = str(package)
        import sys

        sys.path.insert(0, str(package))
        forget_operations()
        root = Path(temporary) / "service"
        root.mkdir()
        print(endure(root, steps=given.steps, kills=given.kills, seed=given.seed))


if __name__ == "__main__":
    main()
