"""A job's folder, read: its state, events and checkpoints. Nothing here writes but the appender."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Protocol, TypeVar

import msgspec

from headrace.training.errors import UnknownJob
from headrace.training.job import (
    Checkpoint,
    Event,
    EventType,
    Failure,
    Job,
    JobState,
    Level,
    Result,
    Status,
)

__all__ = [
    "CANCEL",
    "CHECKPOINTS",
    "CHECKPOINT_FILE",
    "ERROR",
    "EVENTS",
    "JOB",
    "LOCK",
    "LOG",
    "RESULT",
    "RESULT_FILE",
    "EventLog",
    "EventSink",
    "current_events",
    "holder",
    "iterate_jobs",
    "read_checkpoints",
    "read_events",
    "read_job",
    "read_state",
    "write_whole",
]

JOB, LOCK, EVENTS, CANCEL = "job.json", "lock", "events.jsonl", "cancel"
CHECKPOINTS, RESULT, ERROR, LOG = "checkpoints", "result", "error.json", "log.txt"
CHECKPOINT_FILE = "headrace.json"
"""In a checkpoint: its `Checkpoint`, without the path."""
RESULT_FILE = "result.json"

T = TypeVar("T")


def read_job(folder: Path) -> Job:
    """
    Raises:
        UnknownJob: it is no job's folder.
    """
    job = _read(folder / JOB, Job)
    if job is None:
        raise UnknownJob(f"there is no fine-tune {folder.name!r}", param="fine_tuning_job_id")
    return job


def read_events(folder: Path, *, after: int = -1) -> list[Event]:
    """The events behind the one with that sequence number. A line that is not whole yet is none."""
    events: list[Event] = []
    try:
        data = (folder / EVENTS).read_bytes()
    except FileNotFoundError:
        return events
    for line in data.split(b"\n")[:-1]:
        with suppress(msgspec.MsgspecError):
            event = _decode_event(line)
            if event.sequence > after:
                events.append(event)
    return events


def current_events(events: list[Event]) -> list[Event]:
    """Without what was measured at steps that a resumed process has taken again."""
    current: list[Event] = []
    for event in events:
        if event.type == "phase" and event.data.get("phase") == "training":
            from_step = event.data.get("from_step")
            if isinstance(from_step, int):
                current = [each for each in current if not _is_after(each, from_step)]
        current.append(event)
    return current


def _is_after(event: Event, step: int) -> bool:
    if event.type not in ("metrics", "checkpoint"):
        return False
    at = event.data.get("step")
    return isinstance(at, int) and at > step


def read_checkpoints(folder: Path) -> list[Checkpoint]:
    """Whole checkpoints, in order of their steps."""
    found: list[Checkpoint] = []
    for path in (folder / CHECKPOINTS).glob("step-*"):
        about = _read(path / CHECKPOINT_FILE, Checkpoint)
        if about is not None:
            found.append(msgspec.structs.replace(about, path=str(path)))
    return sorted(found, key=lambda each: each.step)


def read_state(folder: Path) -> JobState:
    """What the folder says now.

    Raises:
        UnknownJob: it is no job's folder.
    """
    read_job(folder)
    pid = holder(folder)
    events = current_events(read_events(folder))
    result = _read(folder / RESULT / RESULT_FILE, Result)
    error = _read(folder / ERROR, Failure)
    wants_cancel = (folder / CANCEL).exists()
    status: Status
    if result is not None:
        status = "succeeded"
    elif pid is not None:
        status = "running"
    elif wants_cancel:
        status = "cancelled"
    elif error is not None:
        status = "failed"
    else:
        status = "stopped" if events else "queued"
    ended_at = None
    if status in ("succeeded", "failed", "cancelled"):
        ended_at = events[-1].at if events else (folder / JOB).stat().st_mtime
        ended_at = error.at if status == "failed" and error is not None else ended_at
    return _measured(
        JobState(
            status=status,
            started_at=events[0].at if events else None,
            ended_at=ended_at,
            cancelling=status == "running" and wants_cancel,
            pid=pid if status == "running" else None,
            checkpoints=read_checkpoints(folder),
            error=error if status == "failed" else None,
            result=result,
        ),
        events,
    )


def _measured(state: JobState, events: list[Event]) -> JobState:
    """With what the events tell."""
    latest: dict[str, str | int | float | bool | None] = {}
    phase = ""
    for event in events:
        if event.type in ("metrics", "phase"):
            latest.update(event.data)
        if event.type == "phase":
            phase = str(event.data.get("phase", ""))
    remaining = None
    step, total = latest.get("step"), latest.get("total_steps")
    pace = latest.get("seconds_per_step")
    if phase == "training" and isinstance(step, int) and isinstance(total, int):
        remaining = (total - step) * pace if isinstance(pace, int | float) else None
    return msgspec.structs.replace(
        state,
        phase=phase if state.status == "running" else "",
        step=step if isinstance(step, int) else 0,
        total_steps=total if isinstance(total, int) else None,
        train_loss=_number(latest.get("train_loss")),
        valid_loss=_number(latest.get("valid_loss")),
        trained_tokens=int(_number(latest.get("tokens")) or 0),
        tokens_per_s=_number(latest.get("tokens_per_s")),
        remaining_s=remaining if state.status == "running" else None,
    )


def holder(folder: Path) -> int | None:
    """The pid of the process that trains in the folder; None when there is none."""
    try:
        file = os.open(folder / LOCK, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.pread(file, 32, 0).decode(errors="replace").strip()
        return int(text) if text.isdigit() else 0
    else:
        return None
    finally:
        os.close(file)


class EventSink(Protocol):
    """Takes a job's events."""

    def add(
        self,
        type: EventType,  # noqa: A002 - the event's own word
        message: str,
        data: dict[str, str | int | float | bool | None] | None = None,
        *,
        level: Level = "info",
    ) -> None:
        """Write one event, now."""
        ...


class EventLog:
    """Appends to `events.jsonl`. Only the process that holds the lock has one."""

    def __init__(self, folder: Path) -> None:
        path = folder / EVENTS
        whole = _without_torn_end(path)
        self._next = max((each.sequence for each in read_events(folder)), default=-1) + 1
        self._file = path.open("ab")
        self._file.truncate(whole)
        path.chmod(0o600)

    def add(
        self,
        type: EventType,  # noqa: A002 - the event's own word
        message: str,
        data: dict[str, str | int | float | bool | None] | None = None,
        *,
        level: Level = "info",
    ) -> None:
        """Write one event, now."""
        event = Event(
            sequence=self._next,
            at=time.time(),
            level=level,
            type=type,
            message=message,
            data=data or {},
        )
        self._file.write(msgspec.json.encode(event) + b"\n")
        self._file.flush()
        self._next += 1

    def close(self) -> None:
        """Put what was written on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


def _without_torn_end(path: Path) -> int:
    """Bytes up to the end of the last whole line: a killed process may have left half a one."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return 0
    return data.rfind(b"\n") + 1


def write_whole(path: Path, value: object) -> None:
    """Write JSON so that the file is there whole or not at all."""
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(value)))
            file.flush()
            os.fsync(file.fileno())
        part.chmod(0o600)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _read(path: Path, type_: type[T]) -> T | None:
    try:
        return msgspec.json.decode(path.read_bytes(), type=type_)
    except (FileNotFoundError, NotADirectoryError):
        return None


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def iterate_jobs(folder: Path) -> Iterator[Path]:
    """The folders of jobs, newest first: ids sort by time."""
    for path in sorted(folder.glob("*"), reverse=True):
        if (path / JOB).exists():
            yield path


_decode_event = msgspec.json.Decoder(Event).decode
