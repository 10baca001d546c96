"""Failures of the training room.

HeadraceError
├── TrainingInvalid        what is asked cannot be trained: settings, data, or both
│   ├── BadRows            rows that cannot be trained on; a line for each
│   └── TrainingDoesNotFit it needs more memory than there is; says with which settings it would fit
├── TrainingUnavailable    this machine lacks what it needs: a package, a GPU, known weights
├── TrainingBusy           somebody trains in that folder already
├── TrainingFailed         it began and could not end: out of memory, NaN loss, disk full
└── UnknownJob             no fine-tune, or adapter, has that id
"""

from collections.abc import Sequence

from headrace.errors import HeadraceError, NotFound

__all__ = [
    "BadRows",
    "TrainingBusy",
    "TrainingDoesNotFit",
    "TrainingFailed",
    "TrainingInvalid",
    "TrainingUnavailable",
    "UnknownJob",
]


class TrainingInvalid(HeadraceError):
    """The settings or the data of a fine-tune cannot be used; nothing was trained."""

    code = "training_invalid"


class BadRows(TrainingInvalid):
    """Rows that cannot be trained on. `problems` has `FILE:LINE: what` for each, up to a hundred."""

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        param: str | None = None,
        problems: Sequence[str] = (),
    ) -> None:
        super().__init__(message, hint=hint, param=param)
        self.problems = list(problems)

    def __reduce__(self) -> tuple[object, ...]:
        return (_bad_rows, (self.message, self.hint, self.param, self.problems))


def _bad_rows(message: str, hint: str, param: str | None, problems: list[str]) -> BadRows:
    return BadRows(message, hint=hint, param=param, problems=problems)


class TrainingDoesNotFit(TrainingInvalid):
    """The estimate is above the memory that there is; the hint names settings that fit."""

    code = "training_does_not_fit"


class TrainingUnavailable(HeadraceError):
    """What this fine-tune needs is not on this machine."""

    code = "training_unavailable"


class TrainingBusy(HeadraceError):
    """Another process trains in that job's folder."""

    code = "training_busy"


class TrainingFailed(HeadraceError):
    """The training broke off; no result was left. The hint says what to change."""

    code = "training_failed"


class UnknownJob(NotFound):
    """There is no fine-tune of that id."""
