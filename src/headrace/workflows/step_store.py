"""What steps came to, their results for later runs, and what people decided, in the database."""

import time
from collections.abc import Callable, Sequence
from typing import cast

import msgspec
from sqlalchemy import Connection, CursorResult, RowMapping, delete, func, insert, select, update

from headrace.storage.database import Database, upsert
from headrace.storage.tables import workflow_approvals, workflow_results, workflow_steps
from headrace.workflows.claim import Claim, check_claim, inserted
from headrace.workflows.errors import RunRefused
from headrace.workflows.file import Resources
from headrace.workflows.run import Approval, Outcome, StepRun
from headrace.workflows.state import StepStatus

__all__ = ["StepStore"]

_LONGEST_NOTE = 500


class StepStore:
    """The part of `RunStore` that steps need."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self.database = database
        self._clock = clock

    def steps(self, run_id: str) -> dict[str, StepRun]:
        """The steps of a run that have begun or were left out, by id, in the order of their beginning."""
        c = workflow_steps.c
        when = func.coalesce(c.started_at, c.ended_at)
        query = select(workflow_steps).where(c.run_id == run_id).order_by(when, c.step)
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
            check_claim(connection, claim)
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
            check_claim(connection, claim)
            changed = connection.execute(
                update(workflow_steps)
                .where(
                    workflow_steps.c.run_id == claim.run_id,
                    workflow_steps.c.step == step_id,
                )
                .values(status=status, outcome=packed, error=error, ended_at=now)
            )
            if not cast("CursorResult[object]", changed).rowcount:
                left_out = _left_out(claim, step_id, operation)
                values = {"status": status, "outcome": packed, "error": error, "ended_at": now}
                connection.execute(insert(workflow_steps).values(**left_out, **values))
            if key and packed is not None:
                result = {"key": key, "operation": operation, "outcome": packed,
                          "run_id": claim.run_id, "used_at": now}  # fmt: skip
                columns = [name for name in result if name != "key"]
                connection.execute(upsert(connection, workflow_results, columns), result)

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
            if not inserted(connection, workflow_approvals, values):
                raise RunRefused(f"the step {step!r} of {run_id} was decided already")
        return found

    def approval(self, run_id: str, step: str) -> Approval | None:
        """What was decided for a step, if anything was."""
        c = workflow_approvals.c
        query = select(c.approved, c.who, c.why, c.at).where(c.run_id == run_id, c.step == step)
        with self.database.read() as connection:
            row = connection.execute(query).mappings().first()
        return None if row is None else Approval(**row)


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


def _left_out(claim: Claim, step_id: str, operation: str) -> dict[str, object]:
    """The row of a step that never ran, but for how it ended."""
    return {
        "run_id": claim.run_id, "step": step_id, "operation": operation, "attempt": 0, "note": "",
        "executor": claim.executor, "host": "", "cpus": 0.0, "memory_gb": 0.0, "gpus": 0,
    }  # fmt: skip
