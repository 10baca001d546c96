"""A fine-tuning job: its state, and how it may change. Shapes and words are OpenAI's.

validating_files ──▶ queued ──▶ running ──▶ succeeded
             │          │ ▲        │ ├────▶ failed
             │          ▼ │        ▼ │
             └───────▶ paused ◀──────┘      cancelled from any of those that have not ended
"""

from typing import Final, Literal, TypeAlias

import msgspec

__all__ = [
    "ENDED",
    "FIRST_SAID",
    "MOST_SAID",
    "Said",
    "TuningError",
    "TuningJob",
    "TuningMethod",
    "TuningStatus",
]

TuningStatus: TypeAlias = Literal[
    "validating_files", "queued", "running", "paused", "succeeded", "failed", "cancelled"
]
TuningMethod: TypeAlias = Literal["supervised", "dpo"]
ENDED: Final[frozenset[TuningStatus]] = frozenset(("succeeded", "failed", "cancelled"))
FIRST_SAID: Final = 10
"""Events of a job's beginning that stay in any case."""
MOST_SAID: Final = 100
"""Events that stay in all: those after the first go when newer ones come."""


class TuningError(msgspec.Struct, frozen=True, kw_only=True):
    """Why a job failed."""

    code: str
    message: str
    param: str | None = None


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """One event of the job itself; what its training tells is in the trainer's folder."""

    at: float
    message: str
    level: Literal["info", "warn", "error"] = "info"


class TuningJob(msgspec.Struct, frozen=True, kw_only=True):
    """One job. Times are seconds since the epoch."""

    id: str
    key_id: str
    """Whose it is."""
    team: str = ""
    """Of that key: its other keys may use the model."""
    model: str
    """The base, as headrace.yaml names it."""
    base: str
    """Reference of the base's weights."""
    training_file: str
    validation_file: str | None = None
    method: TuningMethod = "supervised"
    hyperparameters: dict[str, object] = {}
    """As they were asked for, in OpenAI's words; `auto` where nothing was."""
    parameters: dict[str, object] = {}
    """The same in the trainer's words."""
    seed: int
    suffix: str | None = None
    metadata: dict[str, str] | None = None
    organization: str
    """The service's name, as it stands in model names."""
    created_at: float
    status: TuningStatus = "validating_files"
    error: TuningError | None = None
    finished_at: float | None = None
    fine_tuned_model: str | None = None
    trained_tokens: int | None = None
    result_files: list[str] = []
    said: list[Said] = []
    unsaid: int = 0
    """How many of them went, behind the first `FIRST_SAID`."""
    training: str | None = None
    """The trainer's job; None: it has not been queued for long enough."""
    is_attached: bool = False
    """Whether a process may still be training for it."""
    restarts: int = 0
    """Times in a row that the trainer died without having got on."""
    reached: int = -1
    """The step it had reached when it last died."""

    @property
    def has_ended(self) -> bool:
        return self.status in ENDED

    @property
    def name(self) -> str:
        """The name of its model, once there is one."""
        return f"ft:{self.model}:{self.organization}:{self.suffix or ''}:{self.id[-12:]}"

    def moved(self, status: TuningStatus, now: float, *said: str, **changes: object) -> "TuningJob":
        """The job in another state, with what is to be said of it."""
        level: Literal["info", "error"] = "error" if status == "failed" else "info"
        told = self.told(*(Said(at=now, message=each, level=level) for each in said))
        ended = {"finished_at": now} if status in ENDED else {}
        return msgspec.structs.replace(told, status=status, **ended, **changes)

    def told(self, *said: Said) -> "TuningJob":
        """The job with more that is said of it: a bounded list, whoever pauses and resumes it."""
        told = [*self.said, *said]
        over = max(0, len(told) - MOST_SAID)
        kept = told[:FIRST_SAID] + told[FIRST_SAID + over :]
        return msgspec.structs.replace(self, said=kept, unsaid=self.unsaid + over)
