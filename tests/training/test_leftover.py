"""What stays of a fine-tune in its folder once it has ended, and what of one that may go on."""

import math
import os
import time
from pathlib import Path

import pytest

from headrace.training.folder import (
    CANCEL,
    CHECKPOINT_FILE,
    CHECKPOINTS,
    ERROR,
    EVENTS,
    JOB,
    LOCK,
    LOG,
    RESULT,
    RESULT_FILE,
    EventLog,
    read_checkpoints,
    write_whole,
)
from headrace.training.job import Checkpoint, Failure, Result
from headrace.training.leftover import NOISE_KEY, OPTIMIZER, PROGRESS
from headrace.training.trainer import Trainer, take_lock
from tests.training.conftest import MakeJob

WEIGHTS = "adapter_model.safetensors"
ONLY_TO_RESUME = {OPTIMIZER, PROGRESS, NOISE_KEY}


@pytest.fixture
def folder(make_job: MakeJob, trainer: Trainer) -> Path:
    """Of a job that was stopped after two checkpoints and while it wrote a third."""
    made = trainer.folder(make_job().id)
    log = EventLog(made)
    log.add("phase", "training", {"phase": "training", "from_step": 0})
    log.close()
    for step in (1, 2):
        path = made / CHECKPOINTS / f"step-{step}"
        path.mkdir(parents=True)
        write_whole(path / CHECKPOINT_FILE, Checkpoint(step=step, path="", at=1.0))
        for name in (WEIGHTS, OPTIMIZER, PROGRESS):
            (path / name).touch()
    (made / CHECKPOINTS / ".step-3.part").mkdir()
    (made / NOISE_KEY).touch()
    (made / LOG).touch()
    return made


def end(folder: Path, how: str) -> None:
    if how == "cancelled":
        (folder / CANCEL).touch()
    elif how == "failed":
        write_whole(folder / ERROR, Failure(code="training_failed", message="no"))
    elif how == "succeeded":
        result = Result(
            digest="sha256:1", name="n", base="b", base_sha256="", method="supervised", tuning="lora",
            trained_tokens=1, steps=2, examples=1, wall_s=1.0,
        )  # fmt: skip
        (folder / RESULT).mkdir()
        write_whole(folder / RESULT / RESULT_FILE, result)


def names(folder: Path) -> set[str]:
    return {each.name for each in folder.rglob("*")}


def test_what_has_succeeded_keeps_the_weights_of_its_checkpoints_alone(
    folder: Path, trainer: Trainer
) -> None:
    end(folder, "succeeded")
    for _ in range(2):
        trainer.tidy(before=0.0)
        assert not names(folder) & {*ONLY_TO_RESUME, ".step-3.part"}
        kept = read_checkpoints(folder)
        assert [each.step for each in kept] == [1, 2]
        assert all((Path(each.path) / WEIGHTS).exists() for each in kept)
        assert (folder / LOG).exists()
        assert trainer.state(folder.name).status == "succeeded"


def test_what_was_cancelled_keeps_no_checkpoint(folder: Path, trainer: Trainer) -> None:
    end(folder, "cancelled")
    (folder / ".checkpoints.gone" / "step-0").mkdir(parents=True)  # killed at it, once
    trainer.tidy(before=0.0)
    assert {each.name for each in folder.iterdir()} == {JOB, LOCK, EVENTS, CANCEL, LOG}
    assert trainer.state(folder.name).status == "cancelled"


def test_what_nobody_will_resume_is_dropped_but_how_it_failed(
    folder: Path, trainer: Trainer
) -> None:
    end(folder, "failed")
    trainer.drop(folder.name)
    assert {each.name for each in folder.iterdir()} == {JOB, LOCK, EVENTS, ERROR, LOG}
    assert trainer.state(folder.name).status == "failed"


@pytest.mark.parametrize("how", ["stopped", "failed"])
def test_what_may_be_resumed_keeps_what_that_needs(
    folder: Path, trainer: Trainer, how: str
) -> None:
    end(folder, how)
    before = names(folder)
    trainer.tidy(before=0.0)
    assert names(folder) == before
    assert [each.id for each in trainer.broken_off()] == [folder.name][: how == "stopped"]


@pytest.mark.parametrize("how", ["succeeded", "failed"])
def test_what_ended_long_ago_keeps_how_it_ended(folder: Path, trainer: Trainer, how: str) -> None:
    end(folder, how)
    (folder / ".checkpoints.gone" / "step-0").mkdir(parents=True)  # killed at it, once
    trainer.tidy(before=time.time() - 60)
    assert [each.step for each in read_checkpoints(folder)] == [1, 2]
    trainer.tidy(before=math.inf)
    left = {each.name for each in folder.iterdir()}
    assert left <= {JOB, LOCK, EVENTS, RESULT, ERROR, CANCEL}
    assert {JOB, EVENTS} < left
    assert trainer.state(folder.name).status == how


def test_what_was_stopped_stays_however_old_it_is(folder: Path, trainer: Trainer) -> None:
    trainer.tidy(before=math.inf)
    assert [each.step for each in read_checkpoints(folder)] == [1, 2]


@pytest.mark.parametrize("how", ["succeeded", "cancelled", "failed"])
def test_nothing_goes_while_a_process_trains(folder: Path, trainer: Trainer, how: str) -> None:
    end(folder, how)
    lock = take_lock(folder)
    before = names(folder)
    trainer.tidy(before=math.inf)
    trainer.clear(folder.name)
    trainer.drop(folder.name)
    assert names(folder) == before
    os.close(lock)


def test_a_stopped_job_that_is_cancelled_is_done_with_at_once(
    folder: Path, trainer: Trainer
) -> None:
    trainer.cancel(folder.name)
    assert not names(folder) & {*ONLY_TO_RESUME, CHECKPOINTS}
