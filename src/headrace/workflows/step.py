"""One step of a run, from its settings to what is kept of it.

Everything here may be broken off by `kill -9` at any moment and begun again: nothing counts before
`end_step`, which says in one transaction what came of it.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from headrace.errors import HeadraceError
from headrace.storage.database import Database
from headrace.workflows.apart import run_apart
from headrace.workflows.artifact import Artifact, Workspace, digest_of
from headrace.workflows.claim import Claim, RunLost
from headrace.workflows.errors import StepFailed, StepStopped
from headrace.workflows.expression import ExpressionError, rendered
from headrace.workflows.file import Resources
from headrace.workflows.lease import this_host
from headrace.workflows.machine import check_fits, machine
from headrace.workflows.operation import Context, Operation, operation_type
from headrace.workflows.plan import Plan, PlannedStep, matching
from headrace.workflows.run import Outcome, Run
from headrace.workflows.state import StepStatus
from headrace.workflows.store import RunStore
from headrace.workflows.workflow import Workflow, condition

__all__ = ["Place", "StepEnd", "StepRunner"]

ROOM_EVERY_S = 0.25
LONGEST_WAIT_S = 600.0
SAY_EVERY_S = 0.5
MOST_BEGINNINGS = 50
"""Of one step, beside its retries: what kills its process each time must not do so for ever."""
NOWHERE = Path("/nonexistent")
"""The folder of a step that does not run yet."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where runs act."""

    root: Path
    home: Path
    environ: Mapping[str, str]


@dataclass(frozen=True)
class StepEnd:
    """How a step ended."""

    status: StepStatus
    outcome: Outcome = field(default_factory=Outcome)
    error: str = ""


@dataclass(frozen=True)
class _Given:
    """What a step's file comes to in this run."""

    inputs: Mapping[str, Path]
    digests: Mapping[str, str]
    outputs: Mapping[str, str]
    values: Mapping[str, object]


class StepRunner:
    """Runs the steps of one run in this process. Its methods block: each is called in a thread."""

    def __init__(
        self,
        workflow: Workflow,
        run: Run,
        claim: Claim,
        plan: Plan,
        store: RunStore,
        place: Place,
        *,
        stopping: threading.Event,
        lost: threading.Event,
        closing: threading.Event,
        living: Callable[[], Sequence[str]],
    ) -> None:
        self._workflow = workflow
        self._run = run
        self._claim = claim
        self.plan = plan
        self._store = store
        self._place = place
        self._workspace = Workspace(place.home)
        self._stopping = stopping
        self._lost = lost
        self._closing = closing
        self._living = living
        self.ends: dict[str, StepEnd] = {}
        """What has ended so far, by the step's id; filled by whoever schedules them."""

    @property
    def is_closing(self) -> bool:
        """Whether this process stops, and the run is left for another."""
        return self._closing.is_set()

    @property
    def parallel(self) -> int:
        """How many steps may be under way at once."""
        return self._workflow.file.parallel

    def is_waiting(self, step: PlannedStep) -> bool:
        """Whether the step only waits for something outside."""
        return operation_type(step.file.operation).is_waiting

    def condition_holds(self, step: PlannedStep) -> bool:
        """Whether `when:` lets it run.

        Raises:
            StepFailed: the condition has no value.
        """
        if step.file.when is None:
            return True
        try:
            return bool(condition(step.file.when).value(self._scope(step)))
        except ExpressionError as error:
            raise StepFailed(f"{step.id}: when: {error}") from None

    def leave_out(self, step: PlannedStep, status: StepStatus, error: str = "") -> None:
        """Note that a step does not run."""
        self._store.end_step(self._claim, step.id, step.file.operation, status, error=error)

    def perform(self, step: PlannedStep) -> StepEnd:
        """Do the step, with its retries.

        Raises:
            RunLost: the run is another executor's now, or this one is closing.
        """
        pause_s = step.file.retry_wait_s
        for tried in range(step.file.retries + 1):
            end = self._once(step, is_last=tried == step.file.retries)
            if end is not None:
                return end
            self._stopping.wait(min(pause_s, LONGEST_WAIT_S))
            pause_s *= 2
        raise AssertionError("the last attempt always ends")

    def _once(self, step: PlannedStep, *, is_last: bool) -> StepEnd | None:
        """One attempt; None: it failed, and may be tried again."""
        name = step.file.operation
        key = ""
        try:
            # Perhaps in the pause since the last attempt: nothing begins any more.
            self._check_going_on(step)
            operation = operation_type(name)()
            given = self._given(step)
            settings = self._settings(step, operation, given)
            key = self._key(step, operation, settings, given)
            found = self._unchanged(key, operation, self._context(step, given, NOWHERE, attempt=0))
            if found is not None:
                for each in found.artifacts.values():
                    self._workspace.touch(each)
                self._store.end_step(
                    self._claim, step.id, name, "unchanged", outcome=found, key=key
                )
                return StepEnd("unchanged", found)
            attempt = self._begin(step, operation)
            outcome = self._attempt(step, operation, settings, given, attempt)
        except HeadraceError as error:
            return self._failed(step, error, is_last=is_last)
        except RunLost:
            raise
        except Exception as error:  # noqa: BLE001 - an operation is anybody's code
            told = StepFailed(f"{type(error).__name__}: {error}")
            return self._failed(step, told, is_last=is_last)
        self._store.end_step(self._claim, step.id, name, "succeeded", outcome=outcome, key=key)
        return StepEnd("succeeded", outcome)

    def _failed(self, step: PlannedStep, error: HeadraceError, *, is_last: bool) -> StepEnd | None:
        if self.is_closing:
            raise RunLost(self._run.id)
        said = error.message if not error.hint else f"{error.message} ({error.hint})"
        if self._stopping.is_set():
            status: StepStatus = "cancelled"
        elif is_last:
            status = "failed"
        else:
            self._store.say(self._claim, step.id, f"to be tried again: {said}")
            return None
        self._store.end_step(self._claim, step.id, step.file.operation, status, error=said)
        return StepEnd(status, error=said)

    # ---- what it is given

    def _scope(self, step: PlannedStep) -> dict[str, object]:
        run = self._run
        return {
            "vars": run.variables,
            "matrix": step.matrix,
            "run": {
                "id": run.id,
                "workflow": run.workflow,
                "trigger": run.trigger,
                "who": run.who,
                "started_at": run.created_at,
            },
            "steps": {need: self._results(need, step) for need in self._workflow.needs[step.name]},
        }

    def _results(self, name: str, step: PlannedStep) -> dict[str, object]:
        """What a step gave, as expressions see it; of several combinations, lists."""
        every = self.plan.named(name)
        seen = matching(every, self._workflow.file.steps[name], step.matrix)
        found = [self._values(each.id) for each in seen]
        if len(seen) == 1 and (not seen[0].matrix or seen is not every):
            return found[0]
        keys = dict.fromkeys(key for each in found for key in each)
        return {key: [each.get(key) for each in found] for key in keys}

    def _values(self, step_id: str) -> dict[str, object]:
        end = self.ends[step_id]
        files = {
            name: str(self._workspace.path(each)) for name, each in end.outcome.artifacts.items()
        }
        return {"status": end.status, **end.outcome.values, **files}

    def _given(self, step: PlannedStep) -> _Given:
        scope = self._scope(step)
        inputs: dict[str, Path] = {}
        digests: dict[str, str] = {}
        for name, text in step.file.inputs.items():
            try:
                value = rendered(text, scope)
            except ExpressionError as error:
                raise StepFailed(f"{step.id}: inputs.{name}: {error}") from None
            if not isinstance(value, str) or not value:
                raise StepFailed(f"{step.id}: inputs.{name}: {value!r} is no path")
            path = self._place.root / value
            if not path.exists():
                raise StepFailed(f"{step.id}: inputs.{name}: there is no {value}")
            inputs[name] = path
            digests[name] = self._digest(path)
        outputs = {**operation_type(step.file.operation).writes, **step.file.outputs}
        return _Given(inputs, digests, outputs, scope)

    def _digest(self, path: Path) -> str:
        """Of an artifact its name says it; anything else is read."""
        for end in self.ends.values():
            for artifact in end.outcome.artifacts.values():
                if self._workspace.path(artifact) == path:
                    return artifact.sha256
        return digest_of(path)[0]

    def _settings(
        self, step: PlannedStep, operation: Operation, given: _Given
    ) -> dict[str, object]:
        """The parameters filled in, outputs by their names below the step's folder."""
        scope = {
            **given.values,
            "inputs": {name: str(path) for name, path in given.inputs.items()},
            "outputs": {name: _OUTPUT + path for name, path in given.outputs.items()},
        }
        try:
            found = rendered(step.file.parameters, scope)
        except ExpressionError as error:
            raise StepFailed(f"{step.id}: parameters: {error}") from None
        assert isinstance(found, dict)
        try:
            msgspec.convert(found, operation.Settings)
        except msgspec.ValidationError as error:
            raise StepFailed(f"{step.id}: parameters: {error}") from None
        return found

    def _key(
        self,
        step: PlannedStep,
        operation: Operation,
        settings: Mapping[str, object],
        given: _Given,
    ) -> str:
        """Of everything that the result depends on; empty when it cannot be known."""
        if not (operation.is_repeatable and step.file.cache):
            return ""
        context = self._context(step, given, NOWHERE, attempt=0)
        typed = msgspec.convert(settings, operation.Settings)
        paths = {str(path): f"input:{given.digests[name]}" for name, path in given.inputs.items()}
        whole = (
            step.file.operation,
            operation.version,
            _replaced(settings, paths),
            sorted(given.digests.items()),
            sorted(given.outputs.items()),
            operation.outside(typed, context),
        )
        return hashlib.sha256(msgspec.json.encode(whole, order="sorted")).hexdigest()

    def _unchanged(self, key: str, operation: Operation, context: Context) -> Outcome | None:
        """What came of the same before, if all its files are still there."""
        if not key or self._run.forced:
            return None
        found = self._store.result(key)
        if found is None:
            return None
        whole = all(self._workspace.has(each) for each in found.artifacts.values())
        if not whole or not operation.still_holds(found.values, context):
            self._store.forget_result(key)
            return None
        return found

    # ---- doing it

    def _begin(self, step: PlannedStep, operation: Operation) -> int:
        """Note that it runs, once the machine has room for it."""
        needs, has, host, living = step.file.resources, None, this_host(), ()
        if needs != Resources() and not operation.is_waiting:
            has = machine()
            if (error := check_fits(needs, has, step.id)) is not None:
                raise error
        while True:
            attempt = self._store.begin_step(
                self._claim,
                step.id,
                step.file.operation,
                status="waiting" if operation.is_waiting else "running",
                host=host,
                needs=needs if has is not None else Resources(),
                has=has,
                living=self._living() if has is not None else living,
            )
            if attempt is not None and attempt > step.file.retries + MOST_BEGINNINGS:
                raise StepFailed(
                    f"{step.id}: it was begun {attempt} times and its process always died",
                    hint="the log of the service, or of the kernel, may say why",
                )
            if attempt is not None:
                return attempt
            self._stopping.wait(ROOM_EVERY_S)
            self._check_going_on(step)

    def _check_going_on(self, step: PlannedStep) -> None:
        if self._stopping.is_set():
            raise StepStopped(f"{step.id}: the run was cancelled")

    def _attempt(
        self,
        step: PlannedStep,
        operation: Operation,
        settings: dict[str, object],
        given: _Given,
        attempt: int,
    ) -> Outcome:
        folder = self._workspace.fresh(self._run.id, step.id, attempt)
        try:
            final = _replaced(settings, {_OUTPUT: f"{folder}/"})
            context = self._context(step, given, folder, attempt=attempt)
            if operation.runs_apart or step.file.timeout_s is not None:
                values = run_apart(
                    step.file.operation,
                    final,
                    context,
                    log=self._workspace.log(self._run.id, step.id),
                    timeout_s=step.file.timeout_s,
                    stopping=self._stopping,
                    lost=self._lost,
                )
            else:
                values = dict(operation.run(msgspec.convert(final, operation.Settings), context))
            artifacts: dict[str, Artifact] = {
                name: self._workspace.publish(folder / path, step.id)
                for name, path in given.outputs.items()
            }
        finally:
            self._workspace.clear(folder)
        # Through JSON: a value that could not be kept is the operation's mistake, said here.
        plain = msgspec.json.decode(msgspec.json.encode(values), type=dict[str, object])
        return Outcome(values=plain, artifacts=artifacts)

    def _context(self, step: PlannedStep, given: _Given, folder: Path, *, attempt: int) -> Context:
        said_at = 0.0

        def say(note: str) -> None:
            nonlocal said_at
            if time.monotonic() - said_at >= SAY_EVERY_S:
                said_at = time.monotonic()
                self._store.say(self._claim, step.id, note)

        def database() -> Database:
            return self._store.database

        return Context(
            root=self._place.root,
            home=self._place.home,
            environ=self._place.environ,
            run_id=self._run.id,
            workflow=self._run.workflow,
            step=step.id,
            attempt=attempt,
            folder=folder,
            inputs=given.inputs,
            outputs={name: folder / path for name, path in given.outputs.items()},
            who=self._run.who or self._run.trigger,
            stopping=self._stopping.is_set,
            say=say,
            database=database,
        )


_OUTPUT = "headrace-output:/"
"""Stands for the step's folder until it is there: the key must not depend on where that is."""


def _replaced(value: object, by: Mapping[str, str]) -> dict[str, object]:
    """The settings with texts in place of others."""

    def change(part: object) -> object:
        if isinstance(part, str):
            for old, new in by.items():
                part = part.replace(old, new)
            return part
        if isinstance(part, Mapping):
            return {key: change(item) for key, item in part.items()}
        if isinstance(part, list):
            return [change(item) for item in part]
        return part

    found = change(value)
    assert isinstance(found, dict)
    return found
