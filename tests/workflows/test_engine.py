"""Runs in the engine: what steps are given and leave, what is left out, ended, resumed, decided."""

import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.workflows.collect import collect
from headrace.workflows.errors import RunRefused
from headrace.workflows.lease import Lease
from headrace.workflows.workflow import find_workflow
from tests.postgres import PostgresServer
from tests.running import wait_for
from tests.workflows.conftest import Bench

DIAMOND = """\
variables: {first: 1}
steps:
  a: {operation: tally, parameters: {numbers: ["{{ vars.first }}"]}}
  b: {operation: tally, parameters: {numbers: ["{{ steps.a.n }}"]}}
  c: {operation: tally, parameters: {numbers: ["{{ steps.a.n }}", 10]}}
  d: {operation: tally, parameters: {numbers: ["{{ steps.b.n }}", "{{ steps.c.n }}"]}}
"""


@pytest.fixture
def running(bench: Bench) -> Iterator[Bench]:
    """With an engine; a second to start, so few tests open one of their own."""
    with bench.engine():
        yield bench


@pytest.mark.engines
def test_values_and_files_pass_from_step_to_step_and_nothing_is_done_twice(running: Bench) -> None:
    run, steps = running.run(DIAMOND)
    assert (run.status, run.error) == ("succeeded", "")
    assert running.text(steps["d"]) == "17"
    assert sorted(running.began) == ["a", "b", "c", "d"]
    # Again: nothing has changed. With another variable: all that depends on it. Forced: all.
    _, again = running.run(DIAMOND)
    assert {each.status for each in again.values()} == {"unchanged"}
    assert again["d"].outcome == steps["d"].outcome
    _, other = running.run(DIAMOND, first=2)
    assert running.text(other["d"]) == "19"
    _, forced = running.run(DIAMOND, forced=True)
    assert {each.status for each in forced.values()} == {"succeeded"}
    # With first=2, `a` is what `b` was before: by content, not by name.
    assert other["a"].status == "unchanged"
    assert len(running.began) == 4 + 3 + 4
    # A step between whose result is the same as before ends what has changed.
    changed = DIAMOND.replace('["{{ vars.first }}"]', '["{{ vars.first + 0 }}"]')
    _, partly = running.run(changed)
    assert partly["d"].status == "unchanged"


def test_conditions_failures_retries_and_matrices(running: Bench) -> None:
    run, steps = running.run(
        """\
steps:
  one: {operation: tally, matrix: {n: [1, 2, 3]}, parameters: {numbers: ["{{ matrix.n }}"]}}
  all: {operation: tally, parameters: {numbers: "{{ steps.one.n }}"}}
  big: {operation: tally, when: steps.all.n > 5, needs: [all], cache: false}
  small: {operation: tally, when: steps.all.n < 5, needs: [all]}
  after_small: {operation: tally, needs: [small]}
  patient: {operation: tally, retries: 2, retry_wait_s: 0, parameters: {fail_until: 2}}
  broken: {operation: tally, parameters: {fail_until: 9}}
  after_broken: {operation: tally, needs: [broken]}
  tidy: {operation: tally, always: true, needs: [broken, small], cache: false}
  odd: {operation: tally, parameters: {numbers: ["{{ steps.patient.text }}"]}}
"""
    )
    assert run.status == "failed"
    assert run.error == "broken: RuntimeError: not yet"
    assert steps["all"].outcome is not None
    assert steps["all"].outcome.values == {"n": 10}
    statuses = {name: each.status for name, each in steps.items() if name[:3] not in ("one", "all")}
    assert statuses == {
        "big": "succeeded", "small": "skipped", "after_small": "skipped", "patient": "succeeded",
        "broken": "failed", "after_broken": "blocked", "tidy": "succeeded", "odd": "failed",
    }  # fmt: skip
    assert steps["patient"].attempt == 3
    assert "numbers" in steps["odd"].error


def test_a_failed_run_goes_on_where_it_failed(running: Bench) -> None:
    flag = running.root / "flag"
    running.write(
        "steps:\n  a: {operation: tally}\n"
        f"  b: {{operation: run, needs: [a], parameters: {{command: [test, -e, {flag}]}}}}\n"
        "  c: {operation: tally, needs: [b]}\n"
    )
    run = running.create()
    found, steps = running.ended(run)
    assert (found.status, steps["c"].status) == ("failed", "blocked")
    assert "ended with status 1" in found.error
    flag.touch()
    running.store.reopen(run.id)
    found, steps = running.ended(run)
    assert found.status == "succeeded"
    assert (found.attempt, steps["a"].attempt) == (2, 1)
    with pytest.raises(RunRefused):
        running.store.reopen(run.id)


def test_cancelling_ends_a_long_command_with_all_that_it_started(running: Bench) -> None:
    pid_file = running.root / "pid"
    running.write(
        "steps:\n  long:\n    operation: run\n    parameters:\n      shell: true\n"
        f"      command: sleep 600 & echo $! > {pid_file}; wait\n"
        "  later: {operation: tally, needs: [long]}\n"
    )
    run = running.create()
    wait_for(lambda: pid_file.exists() and pid_file.read_text().strip())
    running.store.ask_cancel(run.id)
    found, steps = running.ended(run)
    assert found.status == "cancelled"
    assert {each.status for each in steps.values()} == {"cancelled"}
    wait_for(lambda: not is_alive(int(pid_file.read_text())))
    with pytest.raises(RunRefused):
        running.store.ask_cancel(run.id)


@pytest.mark.parametrize("is_cancelled", [True, False])
def test_a_step_is_asked_to_end_only_where_its_run_ends(
    is_cancelled: bool, bench: Bench, operations: Path
) -> None:
    bench.write("steps:\n  a: {operation: patient}\n")
    ended, waits = bench.root / "ended", bench.root / "waits"
    with bench.engine():
        run = bench.create()
        wait_for(waits.exists)
        if is_cancelled:
            bench.store.ask_cancel(run.id)
            assert bench.ended(run)[0].status == "cancelled"
    wait_for(lambda: not is_alive(int(waits.read_text())))
    assert ended.exists() == is_cancelled


def test_a_run_goes_on_in_the_engine_after_the_one_that_was_closed(
    bench: Bench, operations: Path
) -> None:
    bench.write("steps:\n  a: {operation: patient}\n")
    waits = bench.root / "waits"
    with bench.engine():
        run = bench.create()
        wait_for(waits.exists)
    waits.unlink()
    with bench.engine():
        wait_for(waits.exists)
        bench.store.ask_cancel(run.id)
        assert bench.ended(run)[1]["a"].attempt == 2


def test_a_run_that_is_cancelled_in_the_pause_before_a_retry_begins_no_step(
    running: Bench,
) -> None:
    running.write(
        "steps:\n  a: {operation: tally, retries: 1, retry_wait_s: 600, "
        "parameters: {fail_until: 9}}\n"
    )
    run = running.create()
    wait_for(lambda: "tried again" in getattr(running.store.steps(run.id).get("a"), "note", ""))
    running.store.ask_cancel(run.id)
    found, steps = running.ended(run)
    assert (found.status, steps["a"].status, steps["a"].attempt) == ("cancelled", "cancelled", 1)
    assert running.began == ["a"]


def test_a_value_that_a_shell_is_given_by_the_environment_is_never_run(running: Bench) -> None:
    evil = "'; touch broken; echo $(touch broken) `touch broken` \" 你好"
    _, steps = running.run(
        """\
variables: {said: }
steps:
  one: {operation: tally, matrix: {n: [1, 2]}, parameters: {numbers: ["{{ matrix.n }}"]}}
  a:
    operation: run
    parameters:
      shell: true
      command: printf '%s|' "$SAID" "$NUMBERS" "$N" "$YES" "[$NOTHING]" > "$FILE"
      environment:
        SAID: "{{ vars.said }}"
        NUMBERS: "{{ steps.one.n }}"
        N: "{{ sum(steps.one.n) }}"
        YES: "{{ 2 > 1 }}"
        NOTHING: "{{ null }}"
        FILE: "{{ outputs.text }}"
    outputs: {text: said.txt}
""",
        said=evil,
    )
    assert running.text(steps["a"]) == f"{evil}|[2,3]|5|true|[]|"
    assert not (running.root / "broken").exists()


def test_a_step_past_its_time_is_ended(running: Bench) -> None:
    run, steps = running.run(
        "steps: {a: {operation: run, timeout_s: 0.5, parameters: {command: [sleep, '600']}}}"
    )
    assert run.status == "failed"
    assert "not done after 0.5 s" in steps["a"].error


@pytest.mark.engines
def test_a_person_decides(running: Bench) -> None:
    running.write(
        "steps:\n  ask: {operation: approve, parameters: {message: 上线吗？}}\n"
        "  then: {operation: tally, needs: [ask]}\n"
    )
    yes, no = running.create(), running.create()
    wait_for(lambda: "ask" in running.store.steps(yes.id))
    assert running.store.steps(yes.id)["ask"].status == "waiting"
    running.store.decide(no.id, "ask", approved=False, who="eve", why="too early")
    running.store.decide(yes.id, "ask", approved=True, who="ann", why="")
    with pytest.raises(RunRefused, match="decided already"):
        running.store.decide(yes.id, "ask", approved=False, who="eve", why="")
    found, steps = running.ended(yes)
    assert found.status == "succeeded"
    assert steps["ask"].outcome is not None
    assert steps["ask"].outcome.values["who"] == "ann"
    found, steps = running.ended(no)
    assert "refused by eve: too early" in found.error


@pytest.mark.engines
def test_runs_of_a_queue_wait_for_each_other_and_steps_for_the_machine(running: Bench) -> None:
    text = """\
queue: {name: shared, concurrency: 1}
steps:
  a: &step
    operation: python
    cache: false
    resources: {memory_gb: 1.0e-6, cpus: NUMBER}
    parameters: {function: "busy:busy"}
  b: *step
"""
    from headrace.workflows.machine import machine

    (running.root / "busy.py").write_text(
        "import os, time\n"
        "def busy():\n"
        "    os.mkdir('busy')\n"  # fails when another is at it
        "    time.sleep(0.05)\n"
        "    os.rmdir('busy')\n"
    )
    for name in ("one", "two"):
        running.write(text.replace("NUMBER", str(machine().cpus)), name)
    runs = [running.create("one"), running.create("two")]
    for run in runs:
        found, _ = running.ended(run)
        assert found.status == "succeeded", found.error
    running.write(text.replace("NUMBER", "100000"), "one")
    found, _ = running.ended(running.create("one"))
    assert "asks for 100000 cpus" in found.error


def test_collecting_keeps_what_is_needed(running: Bench) -> None:
    def files() -> int:
        return len(list((running.home / "workflows" / "artifacts").glob("??/*/*")))

    run, steps = running.run(DIAMOND)
    assert steps["d"].outcome is not None
    pinned = steps["d"].outcome.artifacts["text"].sha256
    (running.root / "headrace.yaml").write_text(f"# {pinned}\n")
    assert files() == 4
    later = time.time() + 100_000.0
    kept = collect(running.database, running.root, running.home, keep_s=200_000.0, now=later)
    assert (kept.artifacts, files()) == (0, 4)
    dry = collect(
        running.database, running.root, running.home, keep_s=10.0, now=later, dry_run=True
    )
    assert (dry.artifacts, files()) == (3, 4)
    gone = collect(running.database, running.root, running.home, keep_s=10.0, now=later)
    assert (gone.artifacts, gone.kept, files()) == (3, 1, 1)
    # What is gone is made again, although the same was done before.
    _, again = running.run(DIAMOND)
    assert again["a"].status == "succeeded"
    assert find_workflow(run.workflow, running.root, os.environ)


@pytest.mark.parametrize("engine_of_the_test", ["postgresql"], indirect=True)
def test_the_engine_takes_no_more_connections_than_it_needs(
    running: Bench, postgres: PostgresServer
) -> None:
    from headrace.workflows.engine import CONNECTIONS

    run, _ = running.run(
        "parallel: 24\nvariables: {all: []}\nsteps:\n  a:\n    operation: tally\n"
        "    matrix: {n: '{{ vars.all }}'}\n    parameters: {numbers: ['{{ matrix.n }}']}\n",
        all=list(range(24)),
    )
    assert run.status == "succeeded", run.error
    # None is closed before the engine is, so these are the most that there were.
    ((taken,),) = postgres.execute(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'dbos_transact'"
        f" AND datname = '{running.database.engine.url.database}'"
    )
    assert isinstance(taken, int)
    assert 1 < taken <= CONNECTIONS + 1


def is_alive(pid: int) -> bool:
    try:
        # A killed child whose new parent does not wait for it still has an entry.
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def test_dbos_keeps_nothing_of_runs_that_have_ended(bench: Bench) -> None:
    with bench.engine():
        for _ in range(2):
            run, _ = bench.run("steps: {a: {operation: tally, cache: false}}")
            assert run.status == "succeeded"
    with sqlite3.connect(bench.home / "workflows" / "engine.db") as connection:
        counts = [
            connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("workflow_status", "operation_outputs")
        ]
    connection.close()
    assert counts == [0, 0]
    with Lease(bench.database, bench.home) as lease:
        assert lease.dead() == []
