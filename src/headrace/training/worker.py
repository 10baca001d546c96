"""The process that trains: `python -m headrace.training.worker FOLDER`.

It takes the folder's lock (or inherits it from the `Trainer` that starts it), does the job, and
leaves `result/` or `error.json`. SIGTERM ends it after the step that it is in, with a checkpoint.
Its environment may say `HEADRACE_TRAINING_MEMORY_MB`: the most that it may take.
"""

import contextlib
import errno
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType

from headrace.errors import HeadraceError
from headrace.training.cluster import check_cluster
from headrace.training.data import Sources
from headrace.training.errors import (
    BadRows,
    TrainingBusy,
    TrainingFailed,
    TrainingUnavailable,
    UnknownJob,
)
from headrace.training.folder import (
    CANCEL,
    ERROR,
    RESULT,
    EventLog,
    read_job,
    write_whole,
)
from headrace.training.job import Failure, Job
from headrace.training.leftover import NOISE_KEY, shed
from headrace.training.prepare import read_examples
from headrace.training.private import check_budget
from headrace.training.trainer import LOCK_FD, take_lock

__all__ = ["main", "work"]

MEMORY_MB = "HEADRACE_TRAINING_MEMORY_MB"
FAILED, ENDED, BUSY = 1, 0, 75
_SPACE = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG))
_MEMORY_WORDS = ("can't allocate memory", "out of memory", "bad_alloc", "Cannot allocate memory")
_SPACE_WORDS = (
    "No space left",
    "File too large",
    "quota exceeded",
    "failed writing file",
    "unexpected pos",
)
"""What Rust's and C++'s writers say of a full disk."""


class _Stop:
    """Whether somebody asked for the end."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> bool:
        return self.asked

    def take(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.asked = True


def main(args: list[str], environ: Mapping[str, str]) -> int:
    """The exit status: 0 when it succeeded or was asked to end, 1 when it failed."""
    if len(args) != 1:
        sys.stderr.write("usage: python -m headrace.training.worker FOLDER\n")
        return 2
    folder = Path(args[0]).resolve()
    stop = _Stop()
    signal.signal(signal.SIGTERM, stop.take)
    signal.signal(signal.SIGINT, stop.take)
    try:
        lock = int(environ[LOCK_FD]) if LOCK_FD in environ else take_lock(folder)
    except (TrainingBusy, FileNotFoundError) as error:
        sys.stderr.write(f"{error}\n")
        return BUSY
    os.set_inheritable(lock, False)
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    limit = int(environ[MEMORY_MB]) * 1_000_000 if MEMORY_MB in environ else None
    return work(folder, environ, stop=stop, memory_limit=limit)


def work(
    folder: Path,
    environ: Mapping[str, str],
    *,
    stop: _Stop | None = None,
    memory_limit: int | None = None,
) -> int:
    """Do the job of a folder whose lock is held; gives the exit status."""
    try:
        job = read_job(folder)
        log = EventLog(folder)
    except (UnknownJob, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return FAILED
    asked = stop or _Stop()
    (folder / ERROR).unlink(missing_ok=True)
    try:
        if (folder / RESULT).exists() or (folder / CANCEL).exists():
            return ENDED
        return _train(folder, job, log, environ, asked, memory_limit)
    except Exception as error:  # noqa: BLE001  # the edge: nothing above would report it
        traceback.print_exception(error)
        _record(folder, log, translated(error))
        return FAILED
    finally:
        with contextlib.suppress(OSError):  # a full disk: the state is told by what lies there
            log.close()
        if (folder / RESULT).exists() or (folder / CANCEL).exists():
            with contextlib.suppress(OSError):  # `Trainer.tidy` does it, then
                shed(folder)


def _train(
    folder: Path,
    job: Job,
    log: EventLog,
    environ: Mapping[str, str],
    stop: _Stop,
    memory_limit: int | None,
) -> int:
    log.add("phase", "looking at the examples and the base model", {"phase": "validating"})
    check_cluster(job.spec)
    # Before PyTorch is imported, which takes longer than finding most that is wrong.
    examples = read_examples(job, Sources(Path(job.root), Path(job.home), environ))
    if not (folder / NOISE_KEY).exists():  # else it goes on, and was paid for
        check_budget(job.spec, examples.data)
    _prepare_environment()
    try:
        # The first and only import of PyTorch.
        from headrace.training.process.loop import Interrupted
        from headrace.training.process.session import Session
    except ModuleNotFoundError as error:
        raise TrainingUnavailable(
            f"training needs the package {error.name}", hint="pip install 'headrace[train]'"
        ) from error
    session = Session(
        folder,
        job,
        examples,
        log,
        environ=environ,
        memory_limit=memory_limit,
        asked_to_end=lambda: stop() or (folder / CANCEL).exists(),
    )
    try:
        bounded = _bounded_memory(memory_limit)
        # What a cluster takes is bounded there.
        with bounded if job.spec.ray is None else contextlib.nullcontext():
            result = session.run()
    except Interrupted:
        words = "cancelled" if (folder / CANCEL).exists() else "paused; resume goes on from here"
        log.add("message", words)
        return ENDED
    log.add("message", f"made {result.name} ({result.digest})", {"digest": result.digest})
    return ENDED


def _prepare_environment() -> None:
    """What libraries read when they are imported."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")  # weights come by the model store alone
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic products


@contextlib.contextmanager
def _bounded_memory(limit: int | None) -> Iterator[None]:
    """Make a request for more memory than there is fail here, where it can be said what to do.

    Without it the kernel grants everything and then kills the process, or another one.
    """
    from headrace.training.memory import available_bytes

    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    held = _held_bytes()
    if held is None or _has_gpu():
        yield
        return
    bound = held + available_bytes(limit)
    for other in (soft, hard):
        bound = bound if other == resource.RLIM_INFINITY else min(bound, other)
    resource.setrlimit(resource.RLIMIT_DATA, (bound, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def _held_bytes() -> int | None:
    """Memory that counts against the bound already."""
    try:
        for line in Path("/proc/self/status").read_text("ascii").splitlines():
            if line.startswith("VmData:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass  # no Linux: no bound
    return None


def _has_gpu() -> bool:
    import torch

    return bool(torch.cuda.is_available())


def translated(error: Exception) -> HeadraceError:
    """The error as a user can act on it."""
    if isinstance(error, HeadraceError):
        return error
    words = str(error)
    is_out_of_memory = type(error).__name__ == "OutOfMemoryError" or isinstance(error, MemoryError)
    if is_out_of_memory or any(each in words for each in _MEMORY_WORDS):
        return TrainingFailed(
            "memory ran out during training; no half result was left",
            hint="set micro_batch_size to half, or gradient_checkpointing: true, or max_tokens lower; "
            "then start it again",
        )
    is_full = isinstance(error, OSError) and error.errno in _SPACE
    if is_full or any(each in words for each in _SPACE_WORDS):
        return TrainingFailed(
            "the disk is full; the checkpoint or result that was being written is not there",
            hint="free some space where HEADRACE_HOME is, then resume: it goes on from the last "
            "checkpoint",
        )
    return TrainingFailed(
        f"the training broke off: {type(error).__name__}: {words.splitlines()[0] if words else ''}",
        hint="log.txt in the job's folder has the details; resume goes on from the last checkpoint",
    )


def _record(folder: Path, log: EventLog, error: HeadraceError) -> None:
    problems = error.problems if isinstance(error, BadRows) else []
    failure = Failure(
        code=error.code,
        message=error.message,
        hint=error.hint,
        at=time.time(),
        param=error.param,
        problems=problems,
    )
    try:
        for problem in problems:
            log.add("message", problem, level="error")
        log.add("message", error.message, {"code": error.code}, level="error")
        write_whole(folder / ERROR, failure)
    except OSError as full:
        # Nothing can be written: it counts as stopped, and log.txt has the reason if it fitted.
        sys.stderr.write(f"{error.message}\n{full}\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
