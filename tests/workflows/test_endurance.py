"""Runs whose processes are killed, or stopped and thought dead: all end, and end right."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from headrace.storage.database import Database
from headrace.workflows.claim import RunLost
from headrace.workflows.lease import Lease
from headrace.workflows.store import RunStore
from tests.running import HEADRACE, wait_for
from tests.workflows.conftest import Bench
from tests.workflows.killed import CHAINS, endure

KILLS = 3
STEPS = 45


def test_a_run_that_is_killed_at_random_moments_ends_right(
    operations: Path, tmp_path: Path
) -> None:
    del operations
    found = endure(tmp_path, steps=STEPS, kills=KILLS, seed=7)
    assert found.status == "succeeded"
    assert found.wrong == []
    assert found.published == STEPS
    # Only what was under way when the process died is begun again.
    assert found.begun <= STEPS + KILLS * CHAINS


def test_a_stopped_process_is_not_listened_to_when_it_comes_back(
    operations: Path, bench: Bench
) -> None:
    del operations
    bench.write(
        "steps:\n"
        "  slow:\n    operation: python\n    parameters: {function: 'slow:slow'}\n"
        "  then: {operation: tally, needs: [slow], parameters: {numbers: ['{{ steps.slow.pid }}']}}\n"
    )
    (bench.root / "slow.py").write_text(
        "import os, pathlib, time\n"
        "def slow():\n"
        "    with open('pids', 'a') as file: file.write(f'{os.getpid()} ')\n"
        "    while not pathlib.Path('go').exists(): time.sleep(0.01)\n"
        "    return {'pid': os.getppid()}\n"
    )
    run = bench.create()
    first = subprocess.Popen(
        [HEADRACE, "workflow", "resume", run.id],
        cwd=bench.root,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    pids = bench.root / "pids"
    try:
        wait_for(lambda: pids.exists() and pids.read_text().strip())
        os.kill(first.pid, signal.SIGSTOP)
        # Its lease is let run out at once: nobody else could tell that it only sleeps.
        with bench.engine(Lease(bench.database, bench.home, lease_s=0.0)):
            wait_for(lambda: len(pids.read_text().split()) == 2)
            os.kill(first.pid, signal.SIGCONT)
            # It ends what it was at, and only that: the same is under way in the other.
            wait_for(lambda: not Path("/proc", pids.read_text().split()[0]).exists())
            (bench.root / "go").touch()
            found, steps = bench.ended(run)
        assert found.status == "succeeded"
        assert steps["slow"].outcome is not None
        assert steps["slow"].outcome.values == {"pid": os.getpid()}
        assert bench.began == ["then"]
        assert len(pids.read_text().split()) == 2
    finally:
        first.kill()
        first.wait()


@pytest.mark.engines
def test_only_the_last_who_took_a_run_may_say_what_came_of_it(bench: Bench) -> None:
    bench.write("steps: {a: {operation: tally}}")
    run = bench.create()
    first = bench.store.claim(run.id, "one")
    second = bench.store.claim(run.id, "two")
    assert first is not None
    assert second is not None
    with pytest.raises(RunLost):
        bench.store.begin_step(first[0], "a", "tally")
    with pytest.raises(RunLost):
        bench.store.end_step(first[0], "a", "tally", "succeeded")
    with pytest.raises(RunLost):
        bench.store.finish(first[0], "succeeded")
    bench.store.end_step(second[0], "a", "tally", "succeeded")
    bench.store.finish(second[0], "succeeded")
    assert bench.store.claim(run.id, "three") is None


def test_a_process_of_this_machine_is_known_to_be_dead_at_once(bench: Bench) -> None:
    with Lease(bench.database, bench.home) as gone, Lease(bench.database, bench.home) as here:
        assert sorted(here.living()) == sorted([gone.id, here.id])
        assert here.dead() == []
    with Lease(bench.database, bench.home) as here:
        assert gone.id in here.dead()
        here.forget(gone.id)
        assert gone.id not in here.dead()


@pytest.mark.engines
def test_a_moment_counts_once_whoever_sees_it(bench: Bench, tmp_path: Path) -> None:
    other = Database.open(bench.home / "state.db")
    try:
        bench.write("steps: {a: {operation: tally}}")
        from headrace.workflows.workflow import find_workflow

        workflow = find_workflow("w", tmp_path, os.environ)
        made = [
            store.create_once(workflow, {}, occasion="schedule 0", moment=moment, who="")
            for moment in ("2026-01-01T00:00", "2026-01-01T01:00")
            for store in (bench.store, RunStore(other))
        ]
        assert [each is not None for each in made] == [True, False, True, False]
        assert bench.store.last_moment("w", "schedule 0") == "2026-01-01T01:00"
    finally:
        other.close()
