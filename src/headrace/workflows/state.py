"""How far a run is: which steps may begin, which are left out, and how the whole has ended.

Pure: nothing here waits, writes or asks the time. What steps came to does not depend on the order
in which they ended.
"""

from collections.abc import Iterator, Mapping
from typing import Final, Literal, TypeAlias

from headrace.workflows.plan import Plan, PlannedStep

__all__ = [
    "ENDED",
    "GOOD",
    "RUN_ENDED",
    "Progress",
    "RunStatus",
    "StepStatus",
    "Verdict",
]

StepStatus: TypeAlias = Literal[
    "pending", "running", "waiting", "succeeded", "unchanged", "skipped", "failed", "blocked",
    "cancelled",
]  # fmt: skip
"""`unchanged`: an earlier run's results were taken; `blocked`: a step that it needs failed."""
RunStatus: TypeAlias = Literal["queued", "running", "succeeded", "failed", "cancelled"]
Verdict: TypeAlias = Literal["run", "skip", "block"]

GOOD: Final[frozenset[StepStatus]] = frozenset({"succeeded", "unchanged"})
ENDED: Final[frozenset[StepStatus]] = GOOD | {"skipped", "failed", "blocked", "cancelled"}
RUN_ENDED: Final[frozenset[RunStatus]] = frozenset({"succeeded", "failed", "cancelled"})


class Progress:
    """The statuses of a plan's steps. Every step ends exactly once."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._statuses: dict[str, StepStatus] = {step.id: "pending" for step in plan.steps}
        self._open = {step.id: set(step.needs) for step in plan.steps}
        """Of each step that has not begun: the steps that it still waits for."""
        self._users: dict[str, list[str]] = {step.id: [] for step in plan.steps}
        for step in plan.steps:
            for need in step.needs:
                self._users[need].append(step.id)
        self._ready = [step.id for step in plan.steps if not step.needs]

    @property
    def statuses(self) -> Mapping[str, StepStatus]:
        return self._statuses

    @property
    def has_ended(self) -> bool:
        return not self._open and all(each in ENDED for each in self._statuses.values())

    def take_ready(self) -> Iterator[tuple[PlannedStep, Verdict]]:
        """The steps whose turn it is now, each once, in the plan's order, with what to do."""
        ready, self._ready = sorted(self._ready, key=self._plan.place), []
        for step_id in ready:
            del self._open[step_id]
            step = self._plan.step(step_id)
            yield step, self._verdict(step)

    def begin(self, step_id: str) -> None:
        """The step runs now."""
        self._move(step_id, "pending", "running")

    def end(self, step_id: str, status: StepStatus) -> None:
        """The step has ended; those that waited for it alone are ready."""
        if status not in ENDED:
            raise ValueError(f"{step_id}: {status} is no end")
        if step_id in self._open:
            raise ValueError(f"{step_id} ends before its turn")
        before = self._statuses[step_id]
        self._move(step_id, before if before in ("pending", "running") else "running", status)
        for user in self._users[step_id]:
            waiting = self._open.get(user)
            if waiting is not None:
                waiting.discard(step_id)
                if not waiting:
                    self._ready.append(user)

    def cancel(self) -> list[str]:
        """What has not begun never will; gives those steps. Running ones still end by themselves."""
        gone = [each for each, status in self._statuses.items() if status == "pending"]
        for step_id in gone:
            self._statuses[step_id] = "cancelled"
        self._open.clear()
        self._ready.clear()
        return gone

    def run_status(self) -> RunStatus:
        """How the whole stands."""
        if not self.has_ended:
            return "running"
        found = set(self._statuses.values())
        if "cancelled" in found:
            return "cancelled"
        return "failed" if found & {"failed", "blocked"} else "succeeded"

    def _verdict(self, step: PlannedStep) -> Verdict:
        if step.file.always:
            return "run"
        needs = {self._statuses[each] for each in step.needs}
        if needs & {"failed", "blocked", "cancelled"}:
            return "block"
        return "skip" if "skipped" in needs else "run"

    def _move(self, step_id: str, before: StepStatus, after: StepStatus) -> None:
        if self._statuses[step_id] != before:
            raise ValueError(f"{step_id} is {self._statuses[step_id]}, not {before}")
        self._statuses[step_id] = after
