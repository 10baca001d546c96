"""One run on its way, as DBOS sees it: which steps are under way, and which come next."""

import asyncio
import threading
from dataclasses import dataclass, field

import msgspec
from dbos import DBOS, StepReservation, error

from headrace.errors import HeadraceError
from headrace.workflows.claim import Claim, RunLost
from headrace.workflows.plan import PlannedStep
from headrace.workflows.run import Run
from headrace.workflows.state import ENDED, Progress, RunStatus
from headrace.workflows.step import StepEnd, StepRunner
from headrace.workflows.store import RunStore

__all__ = ["Active", "Drive"]


@dataclass
class Active:
    """A run that this process works on."""

    claim: Claim
    stopping: threading.Event = field(default_factory=threading.Event)
    lost: threading.Event = field(default_factory=threading.Event)
    """Another executor works on it by now, or will: what its steps began elsewhere, a fine-tune
    say, is for that one to go on with."""

    def lose(self) -> None:
        self.lost.set()
        self.stopping.set()


class Drive:
    """One run on its way: which steps are under way, and which come next."""

    def __init__(self, runner: StepRunner, run: Run, active: Active, store: RunStore) -> None:
        self._runner = runner
        self._run = run
        self._active = active
        self._store = store
        self._plan = self._runner.plan
        self._progress = Progress(self._plan)
        # Drawn now, in the plan's order, so that a step has the same number however often, and in
        # whichever order, the run is gone through.
        self._slots = {step.id: DBOS.reserve_step() for step in self._plan.steps}
        self._tasks: dict[asyncio.Task[StepEnd], PlannedStep] = {}
        self._held: list[PlannedStep] = []
        """Ready, and waiting for one of the run's places."""

    async def through(self) -> tuple[RunStatus, str]:
        """Do every step; gives how the run ended, and why if it did not end well."""
        kept = await asyncio.to_thread(self._store.steps, self._run.id)
        ended = {
            each.step: StepEnd(each.status, each.outcome or StepEnd("skipped").outcome, each.error)
            for each in kept.values()
            if each.status in ENDED
        }
        try:
            while not self._progress.has_ended:
                await self._advance(ended)
                if self._tasks:
                    await self._next_end()
        except RunLost:
            self._active.lose()
            raise
        finally:
            await self._abandon()
        return self._progress.run_status(), self._why()

    async def _advance(self, ended: dict[str, StepEnd]) -> None:
        """Begin what can begin; note what is left out."""
        moved = True
        while moved:
            moved = False
            if self._active.stopping.is_set():
                self._held.clear()
                for step_id in self._progress.cancel():
                    step = self._plan.step(step_id)
                    await asyncio.to_thread(self._runner.leave_out, step, "cancelled")
                break
            for step, verdict in list(self._progress.take_ready()):
                moved = True
                if step.id in ended:
                    self._end(step, ended[step.id])
                elif verdict == "run":
                    await self._hold(step)
                else:
                    await self._leave_out(
                        step, StepEnd("skipped" if verdict == "skip" else "blocked")
                    )
        waiting = [step for step in self._held if self._runner.is_waiting(step)]
        room = self._runner.parallel - sum(
            not self._runner.is_waiting(step) for step in self._tasks.values()
        )
        working = [step for step in self._held if step not in waiting][: max(room, 0)]
        for step in (*waiting, *working):
            self._held.remove(step)
            self._progress.begin(step.id)
            self._tasks[asyncio.create_task(self._one(step, self._slots[step.id]))] = step

    async def _hold(self, step: PlannedStep) -> None:
        try:
            holds = self._runner.condition_holds(step)
        except HeadraceError as wrong:
            await self._leave_out(step, StepEnd("failed", error=wrong.message))
            return
        if holds:
            self._held.append(step)
        else:
            await self._leave_out(step, StepEnd("skipped"))

    async def _leave_out(self, step: PlannedStep, end: StepEnd) -> None:
        await asyncio.to_thread(self._runner.leave_out, step, end.status, end.error)
        self._end(step, end)

    async def _one(self, step: PlannedStep, slot: StepReservation) -> StepEnd:
        """One step, as DBOS sees it: its result is noted once."""

        def perform() -> bytes:
            try:
                return msgspec.msgpack.encode(self._runner.perform(step))
            except Exception as wrong:
                if not (isinstance(wrong, RunLost) or self._runner.is_closing):
                    raise
                # The one error that DBOS does not keep as what came of the step: whoever goes on
                # with the run does the step, and is not told this again.
                raise error.DBOSWorkflowCancelledError(f"{step.id}: not done here") from wrong

        try:
            found = await slot.run_async({"name": step.id}, perform)
        except error.DBOSWorkflowCancelledError:
            raise RunLost(self._run.id) from None
        return msgspec.msgpack.decode(found, type=StepEnd)

    async def _next_end(self) -> None:
        done, _ = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            step = self._tasks.pop(task)
            self._end(step, task.result())

    def _end(self, step: PlannedStep, end: StepEnd) -> None:
        self._runner.ends[step.id] = end
        self._progress.end(step.id, end.status)

    async def _abandon(self) -> None:
        """When something broke off: nothing of the run may be at work any more."""
        if self._tasks:
            self._active.stopping.set()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    def _why(self) -> str:
        for step in self._plan.steps:
            end = self._runner.ends.get(step.id)
            if end is not None and end.status == "failed":
                # Many errors begin with the step already.
                return end.error if end.error.startswith(step.id) else f"{step.id}: {end.error}"
        return ""
