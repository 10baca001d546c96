"""Failures of workflows that a user can act on.

HeadraceError
├── NotFound
│   ├── UnknownWorkflow   no file declares a workflow of that name
│   └── UnknownRun        no run has that id
├── RunRefused            the run is not in a state in which this can be done
└── StepFailed            a step could not do its work: says which, and where its log is
    └── StepStopped       it was ended: cancelled, or past its time-out
"""

from collections.abc import Collection
from typing import Self

from headrace.errors import HeadraceError, NotFound, did_you_mean

__all__ = ["RunRefused", "StepFailed", "StepStopped", "UnknownRun", "UnknownWorkflow"]


class UnknownWorkflow(NotFound):
    """No file declares a workflow of that name."""

    @classmethod
    def named(cls, name: str, known: Collection[str]) -> Self:
        return cls(
            f"there is no workflow {name!r}", hint=did_you_mean(name, known, kind="workflows")
        )


class UnknownRun(NotFound):
    """No run has that id."""

    @classmethod
    def named(cls, run_id: str) -> Self:
        return cls(
            f"there is no run {run_id!r}", hint="`headrace workflow list --runs` shows the newest"
        )


class RunRefused(HeadraceError):
    """The run is not in a state in which this can be done."""

    code = "run_refused"


class StepFailed(HeadraceError):
    """A step could not do its work."""

    code = "step_failed"


class StepStopped(StepFailed):
    """A step was ended before it was through: its run was cancelled, or its time was up."""
