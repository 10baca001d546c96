"""Jobs with real, quick trainer processes: order, pauses, ends, and kills of everything."""

import base64
import json
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from sqlalchemy import Connection, event, text

from headrace.datasets.upload import FileStore
from headrace.errors import InvalidRequest
from headrace.models.tuned import read_tuned
from headrace.privacy.vault import Vault
from headrace.storage.database import Database
from headrace.training.folder import CHECKPOINTS, EVENTS, LOG, RESULT
from headrace.training.trainer import FOLDER
from headrace.workflows.tuning.event import checkpoints_of, events_of, losses_of
from headrace.workflows.tuning.job import TuningJob
from headrace.workflows.tuning.runner import MOST_RESTARTS, TuningRunner
from headrace.workflows.tuning.settings import TuningSettings
from headrace.workflows.tuning.store import TuningStore
from tests.running import wait_for
from tests.workflows.tuning.quick import QuickTrainer

MASTER_KEY = base64.b64encode(bytes(32)).decode()
"""Gateways on one server share it."""
ROW = {"messages": [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Ada."}]}
PAIR = {
    "input": {"messages": [{"role": "user", "content": "Who?"}]},
    "preferred_output": [{"role": "assistant", "content": "Ada."}],
    "non_preferred_output": [{"role": "assistant", "content": "Bob."}],
}


@dataclass
class Home:
    """A home with jobs, and the one process that sees to them."""

    path: Path
    database: Database
    store: TuningStore
    files: FileStore
    runner: TuningRunner
    served: bool = True
    number: int = 0
    trainers: list[QuickTrainer] = field(default_factory=list)

    def restarted(self) -> TuningRunner:
        """What a new process would be: nothing of the old one's memory."""
        trainer = QuickTrainer(self.path, root=self.path)
        self.trainers.append(trainer)
        self.runner = TuningRunner(
            self.store,
            self.files,
            trainer,
            self.path,
            TuningSettings,
            is_served=lambda _: self.served,
        )
        return self.runner

    def file(self, *rows: object) -> str:
        writer = self.files.new("rows.jsonl", "fine-tune", "key")
        for row in rows:
            writer.write((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n")
        return writer.close().id

    def job(self, *rows: object, steps: int = 3, **fields: object) -> TuningJob:
        self.number += 1
        given: dict[str, object] = {
            "id": f"ftjob-{self.number:036}",
            "key_id": "key",
            "model": "assistant",
            "base": "file:base.gguf",
            "training_file": self.file(*(rows or (ROW,))),
            "parameters": {"max_steps": steps},
            "seed": 1,
            "organization": "acme",
            "created_at": self.store.clock(),
        }
        return self.store.add(TuningJob(**{**given, **fields}))  # type: ignore[arg-type]  # by name

    def now(self, job: TuningJob) -> TuningJob:
        return self.store.get(job.id, None)

    def until(self, job: TuningJob, *statuses: str) -> TuningJob:
        """The job once it is so."""

        def is_so() -> bool:
            self.runner.look()
            now = self.now(job)
            return now.status in statuses and not (now.has_ended and now.is_attached)

        wait_for(is_so, 20)
        return self.now(job)

    def step_of(self, job: TuningJob) -> int:
        self.runner.look()
        rows = losses_of(self.now(job), self.path)
        return int(rows[-1]["step"] or 0) if rows else 0

    def is_quiet(self) -> bool:
        self.runner.look()
        return not self.store.open()

    def has_let_go(self, job: TuningJob) -> bool:
        self.runner.look()
        return not self.now(job).is_attached

    def has_served(self) -> bool:
        self.runner.look()
        return bool(read_tuned(self.path))

    def folder_of(self, job: TuningJob) -> Path:
        training = self.now(job).training
        assert training is not None
        return self.path / FOLDER / training

    def has_trained(self, job: TuningJob) -> bool:
        """Whether the trainer is through; nobody looks meanwhile."""
        return (self.folder_of(job) / RESULT).exists()

    def pid_of(self, job: TuningJob) -> int:
        return int((self.folder_of(job) / "lock").read_text() or 0)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    with opened(tmp_path / "home", None) as made:
        yield made


@contextmanager
def opened(path: Path, server: str | None) -> Iterator[Home]:
    """A home, with a database of its own or on a server."""
    path.mkdir(mode=0o700)
    database = Database.open(server or path / "state.db")
    vault = Vault.open(database, path, environ={"HEADRACE_MASTER_KEY": MASTER_KEY})
    files = FileStore(database, vault, path)
    made = Home(path, database, TuningStore(database), files, None)  # type: ignore[arg-type]  # next line
    made.restarted()
    yield made
    for job in made.store.open():
        if not job.has_ended:
            made.store.cancel(job.id, None)
    wait_for(made.is_quiet, 20)
    for trainer in made.trainers:
        trainer.reap()
    database.close()


def messages(home: Home, job: TuningJob) -> list[str]:
    return [each.message for each in events_of(home.now(job), home.path)]


def test_a_job_is_validated_queued_trained_and_served(home: Home) -> None:
    job = home.job(suffix="facts")
    ended = home.until(job, "succeeded", "failed")
    name = f"ft:assistant:acme:facts:{job.id[-12:]}"
    assert (ended.status, ended.fine_tuned_model, ended.trained_tokens) == ("succeeded", name, 30)
    assert read_tuned(home.path)[name].key_id == "key"
    (result,) = ended.result_files
    text = b"".join(home.files.read(home.files.get(result, "key"))).decode()
    assert text.splitlines()[:2] == [
        "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy",
        "1,1.0,,,",
    ]
    assert messages(home, job)[-1] == "The job has successfully completed"


def test_jobs_train_one_after_the_other_in_order(home: Home) -> None:
    jobs = [home.job(), home.job(), home.job()]
    home.until(jobs[0], "running")
    assert [home.now(each).status for each in jobs[1:]] == ["queued"] * 2
    ends = [home.until(each, "succeeded").finished_at or 0 for each in jobs]
    assert ends == sorted(ends)


def test_training_gives_way_to_everything_else(home: Home) -> None:
    job = home.job(steps=100)
    home.until(job, "running")
    assert os.getpriority(os.PRIO_PROCESS, home.pid_of(job)) == TuningSettings().niceness


@pytest.mark.parametrize(
    ("rows", "method", "why"),
    [
        ((b"{", ROW), "supervised", "1 of 2 rows cannot be used: line 1: "),
        ((PAIR,), "supervised", "line 1: the method 'supervised' learns from answers"),
        ((ROW,), "dpo", "line 1: the method 'dpo' learns from pairs"),
        ((b" ",), "supervised", "the file is empty"),
        ((b"x",) * 9, "supervised", "; and 4 more"),
    ],
)
def test_rows_that_cannot_be_used_are_named_before_anything_is_trained(
    home: Home, rows: tuple[object, ...], method: str, why: str
) -> None:
    job = home.until(home.job(*rows, method=method), "failed")
    assert job.error is not None
    assert why in job.error.message
    assert (job.error.code, job.error.param) == ("invalid_training_file", "training_file")
    assert job.training is None


def test_a_file_that_was_deleted_fails_the_job_by_its_field(home: Home) -> None:
    job = home.job(validation_file="file-gone")
    error = home.until(job, "failed").error
    assert error is not None
    assert error.param == "validation_file"


def test_what_the_trainer_says_is_the_job_s_error(home: Home) -> None:
    error = home.until(home.job(seed=13), "failed").error
    assert error is not None
    assert error.code == "training_invalid"
    assert error.message == "bad rows: facts.jsonl:1: no answer"
    assert error.param == "training_file"


def test_a_paused_job_goes_on_where_it_was_and_lets_the_next_one_train(home: Home) -> None:
    job, next_one = home.job(steps=40), home.job()
    wait_for(lambda: home.step_of(job) >= 3, 20)
    home.store.pause(job.id, "key")
    assert home.until(next_one, "succeeded")
    paused = home.now(job)
    assert (paused.status, paused.is_attached) == ("paused", False)
    reached = home.step_of(job)
    home.store.resume(job.id, "key")
    home.until(job, "succeeded")
    rows = losses_of(home.now(job), home.path)
    assert [row["step"] for row in rows] == list(range(1, 41))
    begun = [e for e in events_of(home.now(job), home.path) if e.data and "from_step" in e.data]
    assert [each.data["from_step"] for each in begun if each.data] == [0, reached]


@pytest.mark.parametrize("at", ["validating_files", "queued", "running", "paused"])
def test_a_cancelled_job_leaves_no_process_whenever_it_is_cancelled(home: Home, at: str) -> None:
    before = home.job(steps=60) if at == "queued" else None
    job = home.job(steps=1000)
    if at == "paused":
        home.store.pause(job.id, "key")
    elif at != "validating_files":
        home.until(job, at)
    assert home.now(job).status == at
    home.store.cancel(job.id, "key")
    home.until(job, "cancelled")
    assert home.now(job).fine_tuned_model is None
    with pytest.raises(InvalidRequest, match="cannot be paused any more"):
        home.store.pause(job.id, "key")
    if before is not None:
        assert home.now(before).status == "running"


def test_a_killed_trainer_goes_on_from_its_checkpoint(home: Home) -> None:
    job = home.job(steps=20)
    wait_for(lambda: home.step_of(job) >= 3, 20)
    os.kill(home.pid_of(job), signal.SIGKILL)
    ended = home.until(job, "succeeded", "failed")
    assert ended.status == "succeeded"
    assert any("The training broke off; it goes on from step" in m for m in messages(home, job))
    rows = losses_of(ended, home.path)
    assert [row["step"] for row in rows] == list(range(1, 21))


def test_a_trainer_that_dies_at_the_same_step_again_and_again_is_given_up(home: Home) -> None:
    ended = home.until(home.job(seed=66), "failed")
    assert ended.error is not None
    assert f"killed {MOST_RESTARTS + 1} times at step 1" in ended.error.message


def test_a_new_process_finds_the_trainer_of_the_old_one_again(home: Home) -> None:
    job = home.job(steps=20)
    wait_for(lambda: home.step_of(job) >= 2, 20)
    pid = home.pid_of(job)
    home.restarted()
    home.runner.look()
    assert home.pid_of(job) == pid
    home.until(job, "succeeded")
    assert not any("broke off" in each for each in messages(home, job))


def test_a_process_that_dies_between_any_two_steps_of_the_end_leaves_one_result_file(
    home: Home,
) -> None:
    job = home.job()
    home.served = False
    wait_for(home.has_served, 20)
    assert home.now(job).status == "running"
    home.served = True
    for _ in range(2):
        home.restarted()._result_file(home.now(job))  # as if killed right after
    ended = home.until(job, "succeeded")
    found, _ = home.files.page("key", purpose="fine-tune-results")
    assert [each.id for each in found] == ended.result_files


@pytest.mark.parametrize("killed", [False, True])
def test_a_job_that_is_stopped_after_it_was_served_is_served_no_longer(
    home: Home, killed: bool
) -> None:
    job = home.job()
    home.served = False
    wait_for(home.has_served, 20)
    home.store.pause(job.id, "key")
    home.runner.look()
    assert not read_tuned(home.path)
    home.store.resume(job.id, "key")
    wait_for(home.has_served, 20)
    if killed:
        home.store.cancel(job.id, "key")
        home.restarted()
    else:  # at the last moment
        running = home.now(job)
        home.store.cancel(job.id, "key")
        home.runner._move(running, "succeeded", is_attached=False)
    home.until(job, "cancelled")
    assert not read_tuned(home.path)
    assert home.now(job).fine_tuned_model is None


def test_a_job_that_is_paused_and_resumed_at_once_goes_on(home: Home) -> None:
    job = home.job(steps=10)
    home.until(job, "running")
    home.store.pause(job.id, "key")
    home.store.resume(job.id, "key")
    home.until(job, "succeeded")


def test_a_paused_job_that_is_cancelled_never_goes_on(home: Home) -> None:
    job = home.job(steps=40)
    wait_for(lambda: home.step_of(job) >= 2, 20)
    home.store.pause(job.id, "key")
    wait_for(lambda: home.has_let_go(job), 20)
    state = home.folder_of(job) / CHECKPOINTS / "step-1" / "optimizer.pt"
    state.touch()
    home.runner.tidy()
    assert state.exists()
    home.store.cancel(job.id, "key")
    home.restarted().tidy()
    assert not checkpoints_of(home.now(job), home.path)
    assert not state.exists()


def test_what_a_job_left_goes_after_its_retention(home: Home) -> None:
    job = home.job()
    failed = home.job(seed=66)  # whose trainer does not know that it has failed
    for each in (job, failed):
        home.until(each, "succeeded", "failed")
    home.runner.tidy()
    assert checkpoints_of(home.now(job), home.path)
    # Nobody can resume it.
    assert home.now(failed).status == "failed"
    assert not checkpoints_of(home.now(failed), home.path)
    log = home.folder_of(failed) / LOG
    log.touch()
    told = [messages(home, each) for each in (job, failed)]
    home.store.clock = lambda: time.time() + 31 * 86_400
    home.runner.tidy()
    assert not checkpoints_of(home.now(job), home.path)
    assert not log.exists()
    assert [messages(home, each) for each in (job, failed)] == told


def move(path: Path) -> Callable[[], object]:
    """Put a folder where a file is, or a file where a folder is, until what it gives is called."""
    aside = path.with_name(f".{path.name}.aside")
    path.rename(aside)
    path.touch() if aside.is_dir() else path.mkdir()

    def back() -> None:
        path.unlink() if aside.is_dir() else path.rmdir()
        aside.rename(path)

    return back


def rename_table(home: Home, name: str) -> Callable[[], object]:
    def renamed(now: str, then: str) -> None:
        with home.database.write() as connection:
            connection.execute(text(f"ALTER TABLE {now} RENAME TO {then}"))

    renamed(name, "aside")
    return lambda: renamed("aside", name)


def test_a_disk_that_cannot_be_read_ends_no_training(home: Home) -> None:
    job = home.job(steps=30)
    wait_for(lambda: home.step_of(job) >= 2, 20)
    back = move(home.folder_of(job) / EVENTS)
    home.runner.look()
    back()
    assert (home.now(job).status, home.now(job).is_attached) == ("running", True)
    ended = home.until(job, "succeeded", "failed")
    assert (ended.status, ended.restarts) == ("succeeded", 0)


@pytest.mark.parametrize("broken", ["disk", "database"])
def test_nothing_is_served_before_its_result_file_is_there(home: Home, broken: str) -> None:
    job, other = home.job(), home.job()
    home.until(job, "running")
    wait_for(lambda: home.has_trained(job), 20)
    back = rename_table(home, "files") if broken == "database" else move(home.files.folder)
    home.runner.look()
    assert (home.now(job).status, home.now(job).is_attached) == ("running", True)
    assert not read_tuned(home.path)
    back()
    ended = home.until(job, "succeeded", "failed")
    assert (ended.status, list(read_tuned(home.path))) == ("succeeded", [ended.fine_tuned_model])
    found, _ = home.files.page("key", purpose="fine-tune-results")
    assert [each.id for each in found] == ended.result_files
    home.until(other, "succeeded")


def test_a_job_whose_trainer_s_folder_is_gone_fails(home: Home) -> None:
    job = home.job()
    home.until(job, "running")
    wait_for(lambda: home.has_trained(job), 20)
    shutil.rmtree(home.folder_of(job))
    ended = home.until(job, "failed")
    assert ended.error is not None
    assert "there is no fine-tune" in ended.error.message


def test_a_look_asks_the_database_as_often_whoever_waits(home: Home) -> None:
    asked: list[str] = []

    def count(connection: Connection, cursor: object, statement: str, *rest: object) -> None:
        asked.append(statement)

    def looked() -> int:
        asked.clear()
        home.runner.look()
        return len(asked)

    running = home.job(steps=1000)
    home.until(running, "running")
    home.until(home.job(), "queued")
    event.listen(home.database.engine, "before_cursor_execute", count)
    one = looked()
    for _ in range(4):
        home.until(home.job(), "queued")
    assert looked() == one > 0


def test_gateways_on_one_server_leave_each_other_s_jobs_alone(
    tmp_path: Path, postgres_database: str
) -> None:
    with (
        opened(tmp_path / "here", postgres_database) as here,
        opened(tmp_path / "there", postgres_database) as there,
    ):
        job, theirs = here.job(steps=20), there.job(id=f"ftjob-{9:036}")
        there.runner.look()
        assert here.now(job).status == "validating_files"
        here.until(job, "running")
        # Nor does it wait for a place on the other's machine.
        there.until(theirs, "succeeded")
        assert here.now(job).status == "running"
        there.runner.look()
        assert here.until(job, "succeeded").trained_tokens == 200
        assert job.id not in str(read_tuned(there.path))


def test_a_job_whose_file_no_gateway_has_any_more_fails(
    tmp_path: Path, postgres_database: str
) -> None:
    with opened(tmp_path / "here", postgres_database) as here:
        job = here.job()
        here.files.delete(here.files.get(job.training_file, "key"))
        error = here.until(job, "failed").error
        assert error is not None
        assert (error.code, error.param) == ("invalid_training_file", "training_file")
