"""Runs in the database; what several processes agree on is decided here.

What a step came to counts only while its run still belongs to the executor that says so: one that
was thought dead, and comes back after another has taken its run over, is not listened to.
"""

from collections.abc import Sequence
from typing import cast

import msgspec
from sqlalchemy import Connection, CursorResult, RowMapping, delete, func, insert, select, update

from headrace.ids import new_id
from headrace.storage.tables import (
    workflow_approvals,
    workflow_runs,
    workflow_steps,
    workflow_ticks,
)
from headrace.workflows.claim import Claim, RunLost, held, inserted
from headrace.workflows.errors import RunRefused, UnknownRun
from headrace.workflows.run import Run
from headrace.workflows.state import RUN_ENDED, RunStatus
from headrace.workflows.step_store import StepStore
from headrace.workflows.workflow import Workflow

__all__ = ["MOST_RUNS", "RunStore"]

MOST_RUNS = 100


class _Detail(msgspec.Struct, frozen=True, kw_only=True):
    """What of a run is not asked for by its value."""

    text: str
    variables: dict[str, object]
    trigger: str
    who: str
    forced: bool


class RunStore(StepStore):
    """See the module. Reads and writes the database: not for an event loop."""

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
                .where(*held(claim))
                .values(status=status, error=error, ended_at=self._clock())
            )
            _check_held(changed)

    def begin_again(self, run: Run) -> None:
        """Let a run that nobody works on any more, although nobody died, be taken again."""
        with self.database.write() as connection:
            connection.execute(
                update(workflow_runs)
                .where(
                    workflow_runs.c.id == run.id,
                    workflow_runs.c.status == "running",
                    workflow_runs.c.epoch == run.epoch,
                )
                .values(status="queued", executor="", attempt=workflow_runs.c.attempt + 1)
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

    def lost(self, claims: Sequence[Claim]) -> set[str]:
        """Those of the runs that somebody else has taken since."""
        c = workflow_runs.c
        query = select(c.id, c.executor, c.epoch).where(c.id.in_([each.run_id for each in claims]))
        with self.database.read() as connection:
            newest = {
                Claim(run_id=row[0], executor=row[1], epoch=row[2])
                for row in connection.execute(query)
            }
        return {each.run_id for each in set(claims) - newest}

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
        return inserted(connection, workflow_ticks, values)


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
