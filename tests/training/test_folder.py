"""What a job's folder tells, whatever was killed when."""

import os
from pathlib import Path

import pytest

from headrace.training.errors import UnknownJob
from headrace.training.folder import (
    CANCEL,
    ERROR,
    EVENTS,
    EventLog,
    current_events,
    read_events,
    read_state,
    write_whole,
)
from headrace.training.job import Failure
from headrace.training.trainer import Trainer, take_lock
from tests.training.conftest import MakeJob


def log_steps(folder: Path, *steps: int, begin: int = 0) -> None:
    log = EventLog(folder)
    log.add("phase", "training", {"phase": "training", "from_step": begin, "total_steps": 9})
    for step in steps:
        data = {"step": step, "total_steps": 9, "train_loss": 1.0 / step, "seconds_per_step": 2.0}
        log.add("metrics", f"step {step}", dict(data))
    log.close()


def test_a_job_goes_from_queued_to_its_end(make_job: MakeJob, trainer: Trainer) -> None:
    job = make_job()
    folder = trainer.folder(job.id)
    assert trainer.state(job.id).status == "queued"
    lock = take_lock(folder)
    log_steps(folder, 1, 2)
    running = trainer.state(job.id)
    assert (running.status, running.phase, running.step) == ("running", "training", 2)
    assert running.train_loss == 0.5
    assert running.remaining_s == 14.0
    os.close(lock)
    assert trainer.state(job.id).status == "stopped"
    write_whole(folder / ERROR, Failure(code="x", message="no", at=5.0))
    failed = trainer.state(job.id)
    assert failed.error is not None
    assert (failed.status, failed.ended_at) == ("failed", 5.0)
    (folder / CANCEL).touch()
    assert trainer.state(job.id).status == "cancelled"


def test_half_a_line_is_no_event_and_is_written_over(make_job: MakeJob, trainer: Trainer) -> None:
    folder = trainer.folder(make_job().id)
    log_steps(folder, 1)
    with (folder / EVENTS).open("ab") as file:
        file.write(b'{"sequence":2,"at":1.0,"lev')
    assert [each.sequence for each in read_events(folder)] == [0, 1]
    log_steps(folder, 2, begin=1)
    assert [each.sequence for each in read_events(folder)] == [0, 1, 2, 3]


def test_steps_that_were_taken_again_count_once(make_job: MakeJob, trainer: Trainer) -> None:
    folder = trainer.folder(make_job().id)
    log_steps(folder, 1, 2, 3)
    log_steps(folder, 2, 3, begin=1)
    measured = [e.data["step"] for e in current_events(read_events(folder)) if e.type == "metrics"]
    assert measured == [1, 2, 3]
    assert [each.sequence for each in read_events(folder, after=4)] == [5, 6]


@pytest.mark.parametrize("job_id", ["x", "../x", ".", "", "a/b"])
def test_a_job_that_is_none_is_said_to_be_none(trainer: Trainer, job_id: str) -> None:
    with pytest.raises(UnknownJob):
        trainer.folder(job_id)
    with pytest.raises(UnknownJob):
        read_state(Path("/nonexistent"))
