"""Runs that nobody asks for: at times, after new data, after commits; each once."""

import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from headrace.datasets.source import SourceFile, read_file
from headrace.datasets.store import DatasetStore
from headrace.privacy.vault import Vault
from headrace.storage.database import Database
from headrace.workflows.occasion import Occasions
from headrace.workflows.step import Place
from headrace.workflows.store import RunStore
from tests.workflows.conftest import Bench

pytestmark = pytest.mark.engines

START = datetime(2026, 5, 1, 12, 0, tzinfo=UTC).timestamp()
MINUTE = 60.0


class Clock:
    """A time that is moved by hand."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


def occasions(
    bench: Bench, clock: Callable[[], float], database: Database | None = None
) -> Occasions:
    place = Place(root=bench.root, home=bench.home, environ=os.environ)
    return Occasions(RunStore(database or bench.database, clock=clock), place, clock=clock)


def moments(bench: Bench) -> list[str]:
    return sorted(run.trigger[-32:][11:16] for run in bench.store.runs("w"))


@pytest.mark.parametrize(
    ("catch_up", "made"),
    [("skip", ["12:35"]), ("last", ["12:35"]), ("all", ["12:10", "12:15", "12:20", "12:25", "12:30", "12:35"])],
)  # fmt: skip
def test_missed_times_are_caught_up_as_the_file_says(
    bench: Bench, catch_up: str, made: list[str]
) -> None:
    bench.write(
        f"schedule: [{{cron: '*/5 * * * *', catch_up: {catch_up}}}]\nsteps: {{a: {{operation: tally}}}}"
    )
    clock = Clock()
    looking = occasions(bench, clock)
    assert looking.look() == []
    clock.now = START + 8 * MINUTE
    assert len(looking.look()) == (0 if catch_up == "skip" else 1)
    before = moments(bench)
    # Nobody looks for half an hour, but for a second before the last time.
    clock.now = START + 35 * MINUTE + 1
    looking.look()
    assert [each for each in moments(bench) if each not in before] == made
    assert looking.look() == []


def test_several_processes_make_one_run_of_each_time(bench: Bench) -> None:
    bench.write("schedule: [{cron: '* * * * *', catch_up: all}]\nsteps: {a: {operation: tally}}")
    clock = Clock()
    other = Database.open(bench.home / "state.db")
    try:
        both = [occasions(bench, clock), occasions(bench, clock, other)]
        for minute in range(5):
            clock.now = START + minute * MINUTE + 1
            for each in both:
                each.look()
        assert moments(bench) == ["12:01", "12:02", "12:03", "12:04"]
    finally:
        other.close()


def test_each_new_version_of_a_dataset_makes_a_run(bench: Bench) -> None:
    bench.write(
        "variables: {data: }\ntriggers: [{new_data: mill, variables: {data: mill}}]\n"
        "steps: {a: {operation: tally}}"
    )
    looking = occasions(bench, Clock())
    assert looking.look() == []
    datasets = DatasetStore(
        bench.database, Vault.open(bench.database, bench.home, environ=os.environ), bench.home
    )
    for number in (1, 2):
        rows = bench.root / f"{number}.jsonl"
        rows.write_text(f'{{"prompt": "{number}", "completion": "x"}}\n')
        datasets.add("mill", read_file(SourceFile(rows)), what="rows")
        [run] = looking.look()
        assert run.trigger == f"new_data mill mill@{number}"
        assert run.variables == {"data": "mill"}
        assert looking.look() == []


def test_a_commit_makes_a_run_if_it_changes_what_the_pattern_says(bench: Bench) -> None:
    bench.write("triggers: [{commit: ['prompts/**']}]\nsteps: {a: {operation: tally}}")
    looking = occasions(bench, Clock())
    git(bench.root, "init", "-q")
    assert looking.look() == []
    commit(bench.root, "README.md")
    assert looking.look() == []
    commit(bench.root, "evals/a.yaml")
    assert looking.look() == []
    commit(bench.root, "prompts/deep/a.yaml")
    [run] = looking.look()
    assert run.trigger.startswith("commit prompts/** ")
    git(bench.root, "gc", "-q")  # the branch is in packed-refs now
    assert looking.look() == []


def test_a_file_that_is_wrong_keeps_no_other_from_running(bench: Bench) -> None:
    bench.write("schedule: [{cron: '* * * * *'}]\nsteps: {a: {operation: tally}}")
    bench.write("steps: {", "broken")
    clock = Clock()
    looking = occasions(bench, clock)
    looking.look()
    clock.now += 61
    assert len(looking.look()) == 1


def commit(root: Path, name: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text("x")
    git(root, "add", name)
    git(root, "-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", name)


def git(root: Path, *args: str) -> None:
    subprocess.run(["git", "-C", str(root), *args], check=True, capture_output=True)
