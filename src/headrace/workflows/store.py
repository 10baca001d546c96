"""Runs, steps and their results in the database; what several processes agree on is decided here.

What a step came to counts only while its run still belongs to the executor that says so: one that
was thought dead, and comes back after another has taken its run over, is not listened to.
"""

import time
from collections.abc import Callable, Sequence
from typing import cast

import msgspec
from sqlalchemy import (
    ColumnElement,
    Connection,
    CursorResult,
    Insert,
    RowMapping,
    Table,
    delete,
    func,
    insert,
    select,
    update,
)

from headrace.ids import new_id
from headrace.storage.database import Database, insert_or_ignore, upsert
from headrace.storage.tables import (
    workflow_approvals,
    workflow_results,
    workflow_runs,
    workflow_steps,
    workflow_ticks,
)
from headrace.workflows.errors import RunRefused, UnknownRun
from headrace.workflows.file import Resources
from headrace.workflows.run import Approval, Outcome, Run, StepRun
from headrace.workflows.state import RUN_ENDED, RunStatus, StepStatus
from headrace.workflows.workflow import Workflow

__all__ = ["MOST_RUNS", "Claim", "RunLost", "RunStore"]

MOST_RUNS = 100
_LONGEST_NOTE = 500


class RunLost(Exception):
    """The run belongs to another executor now: what this one knows of it does not count any more."""


class _Detail(msgspec.Struct, frozen=True, kw_only=True):
    """What of a run is not asked for by its value."""

    text: str
    variables: dict[str, object]
    trigger: str
    who: str
    forced: bool


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """An executor's right to say what comes of a run."""

    run_id: str
    executor: str
    epoch: int


class RunStore:
    """See the module. Reads and writes the database: not for an event loop."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self.database = database
        self._clock = clock

    # ---- runs

    def create(
        self,
        workflow: Workflow,
        given: dict[str, object],
        *,
        trigger: str = "command",
        who: str = "",
        forced: bool = False,
    ) -> Run:
        """A run that waits to be begun.

        Raises:
            InvalidRequest, ConfigError: the variables or the steps that they make are wrong.
        """
        run = self._made(workflow, given, trigger=trigger, who=who, forced=forced)
        with self.database.write() as connection:
            connection.execute(insert(workflow_runs).values(**_row(run)))
        return run

    def create_once(
        self, workflow: Workflow, given: dict[str, object], *, occasion: str, moment: str, who: str
    ) -> Run | None:
        """The run of an occasion and its moment; None when any process has made it already."""
        run = self._made(workflow, given, trigger=f"{occasion} {moment}".strip(), who=who)
        with self.database.write() as connection:
            if not self._tick(connection, workflow.name, occasion, moment, run.id):
                return None
            connection.execute(insert(workflow_runs).values(**_row(run)))
        return run

    def _made(
        self,
        workflow: Workflow,
        given: dict[str, object],
        *,
        trigger: str,
        who: str,
        forced: bool = False,
    ) -> Run:
        variables = workflow.variables(given)
        workflow.plan(variables)
        return Run(
            id=new_id(),
            workflow=workflow.name,
            status="queued",
            text=workflow.text,
            variables=variables,
            trigger=trigger,
            who=who,
            forced=forced,
            created_at=self._clock(),
        )

    def get(self, run_id: str) -> Run:
        """The run of that id, or of an id's unmistakable beginning.

        Raises:
            UnknownRun: there is none, or there are several.
        """
        query = select(workflow_runs).where(
            workflow_runs.c.id.startswith(run_id.lower(), autoescape=True)
        )
        with self.database.read() as connection:
            rows = connection.execute(query.limit(2)).mappings().all()
        if len(rows) != 1 or not run_id:
            raise UnknownRun.named(run_id)
        return _run(rows[0])

    def runs(
        self,
        workflow: str | None = None,
        *,
        statuses: Sequence[RunStatus] = (),
        limit: int = MOST_RUNS,
        oldest_first: bool = False,
    ) -> list[Run]:
        """Runs, newest first."""
        query = select(workflow_runs).limit(limit)
        query = query.order_by(workflow_runs.c.id if oldest_first else workflow_runs.c.id.desc())
        if workflow is not None:
            query = query.where(workflow_runs.c.workflow == workflow)
        if statuses:
            query = query.where(workflow_runs.c.status.in_(statuses))
        with self.database.read() as connection:
            return [_run(row) for row in connection.execute(query).mappings()]

    def claim(self, run_id: str, executor: str) -> tuple[Claim, Run] | None:
        """Take a run, from whoever had it; None when it has ended."""
        with self.database.write() as connection:
            row = (
                connection.execute(select(workflow_runs).where(workflow_runs.c.id == run_id))
                .mappings()
                .first()
            )
            if row is None or row["status"] in RUN_ENDED:
                return None
            epoch = row["epoch"] + 1
            connection.execute(
                update(workflow_runs)
                .where(workflow_runs.c.id == run_id)
                .values(
                    status="running",
                    executor=executor,
                    epoch=epoch,
                    started_at=func.coalesce(workflow_runs.c.started_at, self._clock()),
                )
            )
            # Whatever an earlier executor was in the middle of begins again.
            connection.execute(
                update(workflow_steps)
                .where(
                    workflow_steps.c.run_id == run_id,
                    workflow_steps.c.status.in_(("running", "waiting")),
                )
                .values(status="pending")
            )
        return Claim(run_id=run_id, executor=executor, epoch=epoch), _run(row)

    def finish(self, claim: Claim, status: RunStatus, error: str = "") -> None:
        """The run has ended.

        Raises:
            RunLost: it belongs to another executor now.
        """
        with self.database.write() as connection:
            changed = connection.execute(
                update(workflow_runs)
                .where(*_held(claim))
                .values(status=status, error=error, ended_at=self._clock())
            )
            _check_held(changed)

    def release(self, claim: Claim) -> None:
        """Give a run back that this executor will not end: whoever is there goes on with it."""
        with self.database.write() as connection:
            connection.execute(
                update(workflow_runs).where(*_held(claim)).values(status="queued", executor="")
            )

    def ask_cancel(self, run_id: str) -> Run:
        """End a run: one that waits at once, one under way as soon as its steps have been ended.

        Raises:
            UnknownRun: there is none.
            RunRefused: it has ended.
        """
        run = self.get(run_id)
        if run.has_ended:
            raise RunRefused(
                f"the run {run.id} has ended: {run.status}", hint="there is nothing to cancel"
            )
        with self.database.write() as connection:
            connection.execute(
                update(workflow_runs)
                .where(workflow_runs.c.id == run.id, workflow_runs.c.ended_at.is_(None))
                .values(cancelling=True)
            )
            # Nobody has begun it, so nobody else would end it.
            connection.execute(
                update(workflow_runs)
                .where(workflow_runs.c.id == run.id, workflow_runs.c.status == "queued")
                .values(status="cancelled", ended_at=self._clock())
            )
        return self.get(run.id)

    def cancelling(self, run_ids: Sequence[str]) -> set[str]:
        """Those of the runs that somebody wants ended."""
        query = select(workflow_runs.c.id).where(
            workflow_runs.c.id.in_(run_ids), workflow_runs.c.cancelling
        )
        with self.database.read() as connection:
            return set(connection.execute(query).scalars())

    def reopen(self, run_id: str) -> Run:
        """Let a run that failed or was cancelled go on; what succeeded in it stays.

        Raises:
            RunRefused: it succeeded, or has not ended.
        """
        run = self.get(run_id)
        if run.status not in ("failed", "cancelled"):
            raise RunRefused(
                f"the run {run.id} is {run.status}",
                hint="only one that failed or was cancelled can be resumed",
            )
        with self.database.write() as connection:
            connection.execute(
                update(workflow_runs)
                .where(
                    workflow_runs.c.id == run.id,
                    workflow_runs.c.status.in_(("failed", "cancelled")),
                )
                .values(
                    status="queued",
                    ended_at=None,
                    error="",
                    cancelling=False,
                    executor="",
                    attempt=workflow_runs.c.attempt + 1,
                )
            )
            connection.execute(
                delete(workflow_steps).where(
                    workflow_steps.c.run_id == run.id,
                    workflow_steps.c.status.not_in(("succeeded", "unchanged")),
                )
            )
            connection.execute(
                delete(workflow_approvals).where(
                    workflow_approvals.c.run_id == run.id, ~workflow_approvals.c.approved
                )
            )
        return self.get(run.id)

    # ---- steps

    def steps(self, run_id: str) -> dict[str, StepRun]:
        """The steps of a run that have begun or were left out, by id."""
        query = select(workflow_steps).where(workflow_steps.c.run_id == run_id)
        with self.database.read() as connection:
            return {row["step"]: _step(row) for row in connection.execute(query).mappings()}

    def begin_step(
        self,
        claim: Claim,
        step_id: str,
        operation: str,
        *,
        status: StepStatus = "running",
        host: str = "",
        needs: Resources = Resources(),  # noqa: B008 - frozen
        has: Resources | None = None,
        living: Sequence[str] = (),
    ) -> int | None:
        """Note that a step runs, if the machine has room for it; gives the number of the attempt.

        Args:
            host, has: the machine, and what of it steps may take; None: they are not counted.
            living: the executors whose steps count as running.

        Returns:
            None: the step has to wait.

        Raises:
            RunLost: the run belongs to another executor now.
        """
        c = workflow_steps.c
        with self.database.write() as connection:
            _check_claim(connection, claim)
            if has is not None and not _has_room(connection, host, needs, has, living):
                return None
            before = connection.execute(
                select(c.attempt).where(c.run_id == claim.run_id, c.step == step_id)
            ).scalar()
            attempt = (before or 0) + 1
            values = {
                "run_id": claim.run_id, "step": step_id, "operation": operation, "status": status,
                "attempt": attempt, "started_at": self._clock(), "ended_at": None, "note": "",
                "error": "", "outcome": None, "executor": claim.executor, "host": host,
                "cpus": needs.cpus, "memory_gb": needs.memory_gb, "gpus": needs.gpus,
            }  # fmt: skip
            columns = [name for name in values if name not in ("run_id", "step")]
            connection.execute(upsert(connection, workflow_steps, columns), values)
        return attempt

    def end_step(
        self,
        claim: Claim,
        step_id: str,
        operation: str,
        status: StepStatus,
        *,
        outcome: Outcome | None = None,
        error: str = "",
        key: str = "",
    ) -> None:
        """Note what a step came to, and remember its result for later runs.

        Args:
            key: of everything that the result depends on; empty: it is not remembered.

        Raises:
            RunLost: the run belongs to another executor now.
        """
        now = self._clock()
        packed = None if outcome is None else msgspec.msgpack.encode(outcome)
        with self.database.write() as connection:
            _check_claim(connection, claim)
            changed = connection.execute(
                update(workflow_steps)
                .where(
                    workflow_steps.c.run_id == claim.run_id,
                    workflow_steps.c.step == step_id,
                )
                .values(status=status, outcome=packed, error=error, ended_at=now)
            )
            if not cast("CursorResult[object]", changed).rowcount:
                connection.execute(
                    insert(workflow_steps).values(
                        run_id=claim.run_id,
                        step=step_id,
                        operation=operation,
                        status=status,
                        attempt=0,
                        ended_at=now,
                        note="",
                        error=error,
                        outcome=packed,
                        executor=claim.executor,
                        host="",
                        cpus=0.0,
                        memory_gb=0.0,
                        gpus=0,
                    )
                )
            if key and packed is not None:
                columns = ["operation", "outcome", "run_id", "used_at"]
                connection.execute(
                    upsert(connection, workflow_results, columns),
                    {
                        "key": key,
                        "operation": operation,
                        "outcome": packed,
                        "run_id": claim.run_id,
                        "used_at": now,
                    },
                )

    def say(self, claim: Claim, step_id: str, note: str) -> None:
        """Keep the newest thing that a running step said."""
        with self.database.write() as connection:
            connection.execute(
                update(workflow_steps)
                .where(
                    workflow_steps.c.run_id == claim.run_id,
                    workflow_steps.c.step == step_id,
                    workflow_steps.c.executor == claim.executor,
                )
                .values(note=note[:_LONGEST_NOTE])
            )

    def result(self, key: str) -> Outcome | None:
        """What came of the same before."""
        query = select(workflow_results.c.outcome).where(workflow_results.c.key == key)
        with self.database.read() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else msgspec.msgpack.decode(found, type=Outcome)

    def forget_result(self, key: str) -> None:
        """Its files are gone."""
        with self.database.write() as connection:
            connection.execute(delete(workflow_results).where(workflow_results.c.key == key))

    # ---- approvals

    def decide(self, run_id: str, step: str, *, approved: bool, who: str, why: str) -> Approval:
        """Say yes or no for a step; the first word counts.

        Raises:
            RunRefused: it was decided before.
        """
        found = Approval(approved=approved, who=who, why=why, at=self._clock())
        values = {"run_id": run_id, "step": step, **msgspec.structs.asdict(found)}
        with self.database.write() as connection:
            if not _inserted(connection, workflow_approvals, values):
                raise RunRefused(f"the step {step!r} of {run_id} was decided already")
        return found

    def approval(self, run_id: str, step: str) -> Approval | None:
        """What was decided for a step, if anything was."""
        c = workflow_approvals.c
        query = select(c.approved, c.who, c.why, c.at).where(c.run_id == run_id, c.step == step)
        with self.database.read() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else Approval(**row)

    # ---- occasions

    def tick(self, workflow: str, occasion: str, moment: str) -> bool:
        """Note a moment of an occasion that makes no run; whether it was new."""
        with self.database.write() as connection:
            return self._tick(connection, workflow, occasion, moment, "")

    def last_moment(self, workflow: str, occasion: str) -> str | None:
        """The newest moment of an occasion; None: it was never looked at."""
        c = workflow_ticks.c
        query = (
            select(c.moment)
            .where(c.workflow == workflow, c.occasion == occasion)
            .order_by(c.at.desc(), c.moment.desc())
            .limit(1)
        )
        with self.database.read() as connection:
            found = connection.execute(query).scalar()
        return None if found is None else str(found)

    def _tick(
        self, connection: Connection, workflow: str, occasion: str, moment: str, run_id: str
    ) -> bool:
        values = {
            "workflow": workflow, "occasion": occasion, "moment": moment, "run_id": run_id,
            "at": self._clock(),
        }  # fmt: skip
        return _inserted(connection, workflow_ticks, values)


def _has_room(
    connection: Connection, host: str, needs: Resources, has: Resources, living: Sequence[str]
) -> bool:
    c = workflow_steps.c
    query = select(
        func.coalesce(func.sum(c.cpus), 0.0),
        func.coalesce(func.sum(c.memory_gb), 0.0),
        func.coalesce(func.sum(c.gpus), 0),
    ).where(c.status == "running", c.host == host, c.executor.in_(living))
    cpus, memory_gb, gpus = connection.execute(query).one()
    return bool(
        cpus + needs.cpus <= has.cpus
        and memory_gb + needs.memory_gb <= has.memory_gb
        and gpus + needs.gpus <= has.gpus
    )


def _inserted(connection: Connection, table: Table, values: dict[str, object]) -> bool:
    """Insert a row unless there is one of its key; whether it was inserted.

    Asked by RETURNING: the count of rows that drivers give is not always one.
    """
    statement = cast("Insert", insert_or_ignore(connection, table)).values(values)
    return connection.execute(statement.returning(table.c.run_id)).first() is not None


def _held(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    c = workflow_runs.c
    return (c.id == claim.run_id, c.executor == claim.executor, c.epoch == claim.epoch)


def _check_claim(connection: Connection, claim: Claim) -> None:
    query = select(workflow_runs.c.id).where(*_held(claim))
    if connection.dialect.name != "sqlite":
        query = query.with_for_update()
    if connection.execute(query).first() is None:
        raise RunLost(claim.run_id)


def _check_held(changed: object) -> None:
    if not cast("CursorResult[object]", changed).rowcount:
        raise RunLost


def _row(run: Run) -> dict[str, object]:
    detail = _Detail(
        text=run.text,
        variables=run.variables,
        trigger=run.trigger,
        who=run.who,
        forced=run.forced,
    )
    return {
        "id": run.id, "workflow": run.workflow, "status": run.status,
        "detail": msgspec.msgpack.encode(detail), "created_at": run.created_at,
        "started_at": None, "ended_at": None, "error": "", "cancelling": False, "executor": "",
        "epoch": 0, "attempt": 1,
    }  # fmt: skip


def _run(row: RowMapping) -> Run:
    detail = msgspec.msgpack.decode(row["detail"], type=_Detail)
    plain = {name: row[name] for name in row if name != "detail"}
    return Run(**plain, **msgspec.structs.asdict(detail))


def _step(row: RowMapping) -> StepRun:
    packed = row["outcome"]
    return StepRun(
        step=row["step"],
        operation=row["operation"],
        status=row["status"],
        attempt=row["attempt"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        note=row["note"],
        error=row["error"],
        outcome=None if packed is None else msgspec.msgpack.decode(packed, type=Outcome),
    )
