"""A trainer whose processes are real and quick: they learn nothing and leave a random adapter.

All around them is as it is with the real one: a process of its own with the folder's lock, events,
checkpoints and a result that appear by rename, SIGTERM, `cancel`, and kills.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

from headrace.models.adapter import Adapter, AdapterStore
from headrace.training.errors import TrainingInvalid
from headrace.training.folder import (
    CANCEL,
    CHECKPOINT_FILE,
    CHECKPOINTS,
    ERROR,
    RESULT,
    RESULT_FILE,
    EventLog,
    read_checkpoints,
    read_job,
    write_whole,
)
from headrace.training.job import Checkpoint, Failure, Result
from headrace.training.trainer import LOCK_FD, Trainer, take_lock

__all__ = ["QuickTrainer", "main"]

STEP_S = 0.03
REPOSITORY = str(Path(__file__).parents[3])


class QuickTrainer(Trainer):
    """Steps of 30 ms. `seed` of a job says what becomes of it: 13 fails, 66 dies at its step 2."""

    def start(self, job_id: str) -> int:
        folder = self.folder(job_id)
        if (status := self.state(job_id).status) in ("succeeded", "cancelled"):
            raise TrainingInvalid(f"the fine-tune {job_id} has {status}")
        lock = take_lock(folder)
        if job_id in self._children:
            self._children[job_id].wait(30)  # it let go of the lock: it is ending
        try:
            (folder / ERROR).unlink(missing_ok=True)
            process = subprocess.Popen(
                [sys.executable, "-m", "tests.workflows.tuning.quick", str(folder)],
                stdin=subprocess.DEVNULL,
                env={**os.environ, LOCK_FD: str(lock), "PYTHONPATH": REPOSITORY},
                pass_fds=(lock,),
                start_new_session=True,
            )
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{process.pid}\n".encode(), 0)
        finally:
            os.close(lock)
        self._children[job_id] = process
        return process.pid

    def reap(self) -> None:
        """Wait for every process that this object has started."""
        for process in self._children.values():
            process.wait(30)


def main(folder: Path) -> int:
    """Do the job of a folder whose lock is inherited."""
    import signal

    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    job = read_job(folder)
    log = EventLog(folder)
    kept = read_checkpoints(folder)
    first = kept[-1].step if kept else 0
    steps = job.spec.parameters.max_steps or 3
    log.add("phase", "training", {"phase": "training", "from_step": first})
    for step in range(first + 1, steps + 1):
        time.sleep(STEP_S)
        if job.spec.seed == 66 and step == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        if job.spec.seed == 13:
            problems = ["facts.jsonl:1: no answer"]
            failure = Failure(code="training_invalid", message="bad rows", problems=problems)
            write_whole(folder / ERROR, failure)
            return 1
        loss = 1.0 / step
        data = {"step": step, "total_steps": steps, "train_loss": loss}
        log.add("metrics", f"step {step}/{steps}", data)  # type: ignore[arg-type]  # narrower
        path = folder / CHECKPOINTS / f"step-{step}"
        part = folder / CHECKPOINTS / f".step-{step}"
        part.mkdir(parents=True, exist_ok=True)
        about = Checkpoint(step=step, path="", at=time.time(), train_loss=loss)
        write_whole(part / CHECKPOINT_FILE, about)
        part.rename(path)
        log.add("checkpoint", f"checkpoint of step {step}", {"step": step})
        if asked or (folder / CANCEL).exists():
            return 0
    _finish(folder, steps)
    return 0


def _finish(folder: Path, steps: int) -> None:
    job = read_job(folder)
    digest = f"sha256:{job.id.replace('-', '') * 2}"
    made = folder / ".made"
    made.mkdir(exist_ok=True)
    (made / "adapter.gguf").write_bytes(b"GGUF")
    about = Adapter(digest=digest, name="quick", base=job.spec.base, base_sha256="")
    AdapterStore(Path(job.home)).put(about, made)
    part = folder / ".result"
    part.mkdir(exist_ok=True)
    result = Result(
        digest=digest,
        name="quick",
        base=job.spec.base,
        base_sha256="",
        method=job.spec.method,
        tuning="lora",
        adapter="adapter",
        trained_tokens=10 * steps,
        steps=steps,
        examples=1,
        wall_s=STEP_S * steps,
    )
    write_whole(part / RESULT_FILE, result)
    part.rename(folder / RESULT)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
