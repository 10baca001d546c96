"""Starts, pauses, cancels and resumes the processes that train. Imports no PyTorch."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from headrace.ids import new_id
from headrace.training.errors import TrainingBusy, TrainingInvalid, UnknownJob
from headrace.training.folder import (
    CANCEL,
    ERROR,
    JOB,
    LOCK,
    LOG,
    holder,
    iterate_jobs,
    read_job,
    read_state,
    write_whole,
)
from headrace.training.job import FineTune, Job, JobState
from headrace.training.leftover import clear, drop, ended_at, has_leftovers, shed

__all__ = ["FOLDER", "LOCK_FD", "Trainer", "take_lock"]

FOLDER = "training"
"""In the home."""
LOCK_FD = "HEADRACE_TRAINING_LOCK_FD"
"""How the started process is told of the lock that it inherits."""
_TRIES = 40
_TRY_EVERY_S = 0.05
"""A reader of the state holds the lock, shared, for some microseconds."""


class Trainer:
    """The fine-tunes of one home. Every method reads and writes files: not for an event loop."""

    def __init__(
        self,
        home: Path,
        *,
        root: Path,
        environ: Mapping[str, str] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """
        Args:
            environ: of the processes that are started; absent: this process's own.
        """
        self._home = home
        self._root = root
        self._environ = environ
        self._clock = clock
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def folder(self, job_id: str) -> Path:
        """The folder of a job.

        Raises:
            UnknownJob: there is none of that id.
        """
        path = self._home / FOLDER / job_id
        if "/" in job_id or job_id.startswith(".") or not (path / JOB).exists():
            raise UnknownJob(f"there is no fine-tune {job_id!r}", param="fine_tuning_job_id")
        return path

    def create(self, spec: FineTune) -> Job:
        """A new job; nothing is started or looked into yet."""
        job = Job(
            id=new_id(),
            created_at=self._clock(),
            root=str(self._root.resolve()),
            home=str(self._home.resolve()),
            spec=spec,
        )
        folder = self._home / FOLDER / job.id
        folder.mkdir(mode=0o700, parents=True)
        write_whole(folder / JOB, job)
        return job

    def job(self, job_id: str) -> Job:
        return read_job(self.folder(job_id))

    def state(self, job_id: str) -> JobState:
        self._reap(job_id)
        return read_state(self.folder(job_id))

    def jobs(self) -> list[Job]:
        """Every job, newest first."""
        return [read_job(each) for each in iterate_jobs(self._home / FOLDER)]

    def start(self, job_id: str) -> int:
        """Start, or go on with, a job; gives the process's id. It outlives this process.

        Raises:
            TrainingBusy: it runs already.
            TrainingInvalid: it has succeeded or was cancelled.
        """
        folder = self.folder(job_id)
        status = self.state(job_id).status
        if status in ("succeeded", "cancelled"):
            raise TrainingInvalid(
                f"the fine-tune {job_id} has {status}",
                hint="make a new one with the same settings",
            )
        lock = take_lock(folder)
        try:
            (folder / ERROR).unlink(missing_ok=True)
            # Threads that wait for each other by turning burn what others could use: the user's own
            # choice wins. Why 300: docs/decisions/0033-runtime-threads.md.
            environ = {
                "GOMP_SPINCOUNT": "300",
                **(os.environ if self._environ is None else self._environ),
            }
            environ[LOCK_FD] = str(lock)
            with (folder / LOG).open("ab") as log:
                process = subprocess.Popen(  # noqa: S603 - our own module
                    [sys.executable, "-P", "-m", "headrace.training.worker", str(folder)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env=environ,
                    cwd=folder,
                    pass_fds=(lock,),
                    # Ctrl-C of a terminal, and a service's end, are not its end.
                    start_new_session=True,
                )
            os.ftruncate(lock, 0)
            os.pwrite(lock, f"{process.pid}\n".encode(), 0)
        finally:
            os.close(lock)
        self._children[job_id] = process
        return process.pid

    resume = start

    def stop(self, job_id: str) -> None:
        """Pause: it keeps a checkpoint at the end of its step and ends; `resume` goes on there."""
        self._signal(job_id, signal.SIGTERM)

    def cancel(self, job_id: str) -> None:
        """End it for good, at the end of its step. A job that has ended stays as it is."""
        folder = self.folder(job_id)
        if self.state(job_id).status in ("succeeded", "cancelled"):
            return
        (folder / CANCEL).touch(0o600)
        self._signal(job_id, signal.SIGTERM)
        with _locked(folder) as is_free:
            if is_free:  # else its process does, at its end
                shed(folder)

    def clear(self, job_id: str) -> None:
        """Delete all of a job but what was asked, its events and its result; not while it trains.

        Raises:
            UnknownJob: there is none of that id.
        """
        folder = self.folder(job_id)
        with _locked(folder) as is_free:
            if is_free:
                clear(folder)

    def drop(self, job_id: str) -> None:
        """Delete the checkpoints of a job that nobody will resume; not while it trains.

        Raises:
            UnknownJob: there is none of that id.
        """
        folder = self.folder(job_id)
        with _locked(folder) as is_free:
            if is_free:
                drop(folder)

    def tidy(self, before: float) -> None:
        """Delete what no ended job needs any more: of those that ended `before`, as `clear` does."""
        for folder in iterate_jobs(self._home / FOLDER):
            ended = ended_at(folder)
            if ended is None:
                continue
            is_old = ended < before
            if not is_old and ended_at(folder, for_good=True) is None:
                continue  # it may be resumed
            if not has_leftovers(folder, for_good=not is_old):
                continue
            with _locked(folder) as is_free:
                if is_free and ended_at(folder) == ended:
                    clear(folder) if is_old else shed(folder)

    def broken_off(self) -> Iterator[Job]:
        """Those that have not ended, nobody trains, and that keep something to go on with."""
        for folder in iterate_jobs(self._home / FOLDER):
            is_waiting = ended_at(folder) is None and holder(folder) is None
            if is_waiting and has_leftovers(folder, for_good=False):
                yield read_job(folder)

    def kill(self, job_id: str) -> None:
        """End the process at once; what came after the last checkpoint is lost."""
        self._signal(job_id, signal.SIGKILL)

    def wait(self, job_id: str, timeout_s: float | None = None) -> JobState:
        """The state once a process that this object started has ended (or the time is over)."""
        process = self._children.get(job_id)
        if process is not None:
            try:
                process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                return self.state(job_id)
        return self.state(job_id)

    def _signal(self, job_id: str, number: signal.Signals) -> None:
        pid = holder(self.folder(job_id))
        if pid:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                return  # it has ended this moment

    def _reap(self, job_id: str) -> None:
        process = self._children.get(job_id)
        if process is not None:
            process.poll()


@contextmanager
def _locked(folder: Path) -> Iterator[bool]:
    """Keep others from training in a folder meanwhile; gives False where somebody does."""
    if holder(folder) is not None:
        yield False
        return
    try:
        lock = take_lock(folder)
    except TrainingBusy:
        yield False
        return
    try:
        os.ftruncate(lock, 0)  # no pid: there is nobody to send a signal to
        yield True
    finally:
        os.close(lock)


def take_lock(folder: Path) -> int:
    """The lock of a job's folder, as an open file; closing it, or dying, lets it go.

    Raises:
        TrainingBusy: another process has it.
    """
    file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    for attempt in range(_TRIES):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # A trainer holds it for long; a reader of the state is gone at the next look.
            if attempt + 1 < _TRIES and not holder(folder):
                time.sleep(_TRY_EVERY_S)
                continue
            text = os.pread(file, 32, 0).decode(errors="replace").strip()
            os.close(file)
            raise TrainingBusy(
                f"the process {text or 'unknown'} trains in {folder} already",
                hint=f"see it with `headrace train show {folder.name}`",
            ) from None
        else:
            return file
    raise AssertionError("unreachable")
