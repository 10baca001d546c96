"""A run of a workflow, and its steps, as they are kept."""

import msgspec

from headrace.workflows.artifact import Artifact
from headrace.workflows.state import RUN_ENDED, RunStatus, StepStatus

__all__ = ["Approval", "Outcome", "Run", "StepRun"]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a step gave."""

    values: dict[str, object] = msgspec.field(default_factory=dict)
    """Small values, as its operation returned them."""
    artifacts: dict[str, Artifact] = msgspec.field(default_factory=dict)
    """Files, by the names under `outputs:`."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One execution of a workflow."""

    id: str
    workflow: str
    status: RunStatus
    text: str
    """The workflow's file as it was when the run was made."""
    variables: dict[str, object]
    trigger: str
    """What made it: `command`, `schedule`, `new_data support@3`…"""
    who: str
    forced: bool
    """Nothing is left out because it is unchanged."""
    created_at: float
    started_at: float | None = None
    ended_at: float | None = None
    error: str = ""
    cancelling: bool = False
    """Somebody has asked for its end."""
    executor: str = ""
    """The process that works on it, or did last."""
    epoch: int = 0
    """Counts its executors: what an earlier one still says is not taken."""
    attempt: int = 1
    """Counts how often it was begun: by `resume`, too."""

    @property
    def has_ended(self) -> bool:
        return self.status in RUN_ENDED


class StepRun(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a run that has begun, or was left out."""

    step: str
    operation: str
    status: StepStatus
    attempt: int = 0
    started_at: float | None = None
    ended_at: float | None = None
    note: str = ""
    """The newest thing that it said."""
    error: str = ""
    outcome: Outcome | None = None


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """What a person decided."""

    approved: bool
    who: str
    why: str
    at: float
