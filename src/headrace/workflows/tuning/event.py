"""What a job tells: its own events and those of its training, as one list in OpenAI's words."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from headrace.training.folder import current_events, read_checkpoints, read_events
from headrace.training.job import Checkpoint, Event
from headrace.training.trainer import FOLDER
from headrace.workflows.tuning.job import FIRST_SAID, Said, TuningJob

__all__ = ["CSV_COLUMNS", "JobEvent", "checkpoints_of", "csv_of", "events_of", "losses_of"]

CSV_COLUMNS: Final = (
    "step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy"
)  # fmt: skip
"""Of a result file, as OpenAI names them."""
_MEASURED: Final = {
    "train_loss": "train_loss",
    "train_mean_token_accuracy": "train_accuracy",
    "valid_loss": "valid_loss",
    "valid_mean_token_accuracy": "valid_mean_token_accuracy",
}


class JobEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event."""

    id: str
    at: float
    level: Literal["info", "warn", "error"]
    type: Literal["message", "metrics"]
    message: str
    data: dict[str, str | int | float | bool | None] | None = None


def events_of(job: TuningJob, home: Path) -> list[JobEvent]:
    """Every event so far, oldest first. Reads files."""
    own = [_own(job, at, said) for at, said in enumerate(job.said)]
    told = [] if job.training is None else read_events(home / FOLDER / job.training)
    events = [*own, *(_told(job, each) for each in told)]
    return sorted(events, key=lambda each: (each.at, each.id))


def checkpoints_of(job: TuningJob, home: Path) -> list[Checkpoint]:
    """What its training has kept, oldest first. Reads files."""
    return [] if job.training is None else read_checkpoints(home / FOLDER / job.training)


def losses_of(job: TuningJob, home: Path) -> list[dict[str, float | int | None]]:
    """Every step with what was measured at it, in order: the rows of the result file."""
    told = [] if job.training is None else read_events(home / FOLDER / job.training)
    rows: dict[int, dict[str, float | int | None]] = {}
    for event in current_events(told):
        step = event.data.get("step")
        if event.type != "metrics" or not isinstance(step, int):
            continue
        row = rows.setdefault(step, {"step": step})
        for name, column in _MEASURED.items():
            value = event.data.get(name)
            if isinstance(value, int | float):
                row[column] = value
    return [rows[step] for step in sorted(rows)]


def csv_of(rows: Sequence[dict[str, float | int | None]]) -> bytes:
    """A result file."""
    text = io.StringIO()
    writer = csv.DictWriter(text, CSV_COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def _own(job: TuningJob, at: int, said: Said) -> JobEvent:
    # A page goes on behind an id, so that an event keeps its own when others before it go.
    number = at if at < FIRST_SAID else at + job.unsaid
    return JobEvent(
        id=f"ftevent-{job.id.removeprefix('ftjob-')}-{number:03}",
        at=said.at,
        level=said.level,
        type="message",
        message=said.message,
    )


def _told(job: TuningJob, event: Event) -> JobEvent:
    return JobEvent(
        id=f"ftevent-{job.id.removeprefix('ftjob-')}-t{event.sequence:06}",
        at=event.at,
        level=event.level,
        type="metrics" if event.type == "metrics" else "message",
        message=event.message,
        data=event.data or None,
    )
