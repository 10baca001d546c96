"""Failures of the training room.

HeadraceError
├── TrainingInvalid        what is asked cannot be trained: settings, data, or both
│   └── TrainingDoesNotFit it needs more memory than there is; says with which settings it would fit
├── TrainingUnavailable    this machine lacks what it needs: a package, a GPU, known weights
├── TrainingBusy           somebody trains in that folder already
├── TrainingFailed         it began and could not end: out of memory, NaN loss, disk full
└── UnknownJob             no fine-tune, or adapter, has that id
"""

from headrace.errors import HeadraceError, NotFound

__all__ = [
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
