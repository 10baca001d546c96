"""Where evals, runs and output items are kept: sealed rows of the database."""

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec
from sqlalchemy import Connection, delete, insert, select, update

from headrace.errors import InvalidRequest, NotFound
from headrace.ids import new_id
from headrace.privacy.vault import Vault
from headrace.storage.database import Database
from headrace.storage.tables import eval_output_items, eval_runs, evals
from headrace.workflows.evals.job import ENDED, Criterion, Eval, EvalRun, OutputItem

__all__ = ["EvalStore"]

T = TypeVar("T")


class EvalStore:
    """Reads and writes the database: not for an event loop.

    `key_id` is who asks; None may see every eval.
    """

    def __init__(
        self, database: Database, vault: Vault, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._database = database
        self._vault = vault
        self.clock = clock

    # Evals

    def create(
        self,
        *,
        key_id: str,
        name: str,
        data_source_config: dict[str, object],
        testing_criteria: list[Criterion],
        metadata: dict[str, str] | None,
    ) -> Eval:
        made = Eval(
            id=f"eval_{new_id()}",
            key_id=key_id,
            name=name,
            created_at=self.clock(),
            data_source_config=data_source_config,
            testing_criteria=testing_criteria,
            metadata=metadata,
        )
        row = {
            "id": made.id,
            "key_id": key_id,
            "created_at": made.created_at,
            "updated_at": made.created_at,
            "state_sealed": self._sealed(made.id, made),
        }
        with self._database.write() as connection:
            connection.execute(insert(evals), row)
        return made

    def get(self, eval_id: str, key_id: str | None) -> Eval:
        """Raises NotFound: there is none, or it is another key's."""
        with self._database.read() as connection:
            sealed = connection.execute(
                select(evals.c.state_sealed).where(evals.c.id == eval_id)
            ).scalar()
        found = None if sealed is None else self._opened(eval_id, sealed, Eval)
        if found is None or key_id not in (None, found.key_id):
            raise NotFound(f"there is no eval {eval_id!r}", param="eval_id")
        return found

    def page(
        self, key_id: str | None, *, after: str | None, limit: int, newest_first: bool, by: str
    ) -> tuple[list[Eval], bool]:
        """Evals, and whether there are more behind them; `by` is created_at or updated_at."""
        column = evals.c.updated_at if by == "updated_at" else evals.c.created_at
        query = select(evals.c.id, evals.c.state_sealed)
        if key_id is not None:
            query = query.where(evals.c.key_id == key_id)
        query = query.order_by(
            *((column.desc(), evals.c.id.desc()) if newest_first else (column, evals.c.id))
        )
        with self._database.read() as connection:
            rows = list(connection.execute(query))
        ids = [row.id for row in rows]
        begin = ids.index(after) + 1 if after in ids else 0
        some = rows[begin : begin + limit + 1]
        found = [each for row in some if (each := self._opened(row.id, row.state_sealed, Eval))]
        return found[:limit], len(some) > limit

    def change(self, found: Eval, *, name: str | None, metadata: dict[str, str] | None) -> Eval:
        changed = msgspec.structs.replace(
            found,
            name=found.name if name is None else name,
            metadata=found.metadata if metadata is None else metadata,
        )
        values = {"state_sealed": self._sealed(found.id, changed), "updated_at": self.clock()}
        with self._database.write() as connection:
            connection.execute(update(evals).where(evals.c.id == found.id), values)
        return changed

    def delete(self, found: Eval) -> None:
        """With all its runs; what is being answered is dropped."""
        runs = select(eval_runs.c.id).where(eval_runs.c.eval_id == found.id)
        with self._database.write() as connection:
            connection.execute(
                delete(eval_output_items).where(eval_output_items.c.run_id.in_(runs))
            )
            connection.execute(delete(eval_runs).where(eval_runs.c.eval_id == found.id))
            connection.execute(delete(evals).where(evals.c.id == found.id))
        self._vault.destroy(_subject(found.id))

    # Runs

    def create_run(
        self,
        found: Eval,
        *,
        key_id: str,
        name: str,
        data_source: dict[str, object],
        metadata: dict[str, str] | None,
    ) -> EvalRun:
        run = EvalRun(
            id=f"evalrun_{new_id()}",
            eval_id=found.id,
            key_id=key_id,
            name=name,
            created_at=self.clock(),
            data_source=data_source,
            criteria=found.testing_criteria,
            metadata=metadata,
        )
        row = {
            "id": run.id,
            "eval_id": run.eval_id,
            "key_id": key_id,
            "status": run.status,
            "created_at": run.created_at,
            "state_sealed": self._sealed(run.eval_id, run),
        }
        with self._database.write() as connection:
            connection.execute(insert(eval_runs), row)
        return run

    def run(self, eval_id: str, run_id: str, key_id: str | None) -> EvalRun:
        """Raises NotFound: there is none, or it is another key's."""
        query = select(eval_runs.c.state_sealed).where(
            eval_runs.c.id == run_id, eval_runs.c.eval_id == eval_id
        )
        with self._database.read() as connection:
            sealed = connection.execute(query).scalar()
        found = None if sealed is None else self._opened(eval_id, sealed, EvalRun)
        if found is None or key_id not in (None, found.key_id):
            raise NotFound(f"there is no run {run_id!r}", param="run_id")
        return found

    def runs(
        self,
        eval_id: str,
        key_id: str | None,
        *,
        after: str | None,
        limit: int,
        newest_first: bool,
        status: str | None,
    ) -> tuple[list[EvalRun], bool]:
        """Runs, and whether there are more behind them."""
        query = select(eval_runs.c.state_sealed).where(eval_runs.c.eval_id == eval_id)
        if key_id is not None:
            query = query.where(eval_runs.c.key_id == key_id)
        if status is not None:
            query = query.where(eval_runs.c.status == status)
        if after is not None:
            query = query.where(eval_runs.c.id < after if newest_first else eval_runs.c.id > after)
        query = query.order_by(eval_runs.c.id.desc() if newest_first else eval_runs.c.id)
        with self._database.read() as connection:
            rows = list(connection.execute(query.limit(limit + 1)).scalars())
        found = [each for row in rows if (each := self._opened(eval_id, row, EvalRun))]
        return found[:limit], len(rows) > limit

    def unended(self) -> list[EvalRun]:
        """All that somebody has to work on, oldest first."""
        query = (
            select(eval_runs.c.eval_id, eval_runs.c.state_sealed)
            .where(eval_runs.c.status.not_in(sorted(ENDED)))
            .order_by(eval_runs.c.id)
        )
        with self._database.read() as connection:
            rows = list(connection.execute(query))
        found = (self._opened(row.eval_id, row.state_sealed, EvalRun) for row in rows)
        return [each for each in found if each is not None]

    def change_run(self, run: EvalRun, change: Callable[[EvalRun], EvalRun]) -> EvalRun:
        """Change a run as it is now, whoever else may want to: gives what it is then.

        Raises:
            NotFound: it was deleted meanwhile.
        """
        return self._changed(run, lambda now, _: change(now))

    def cancel(self, run: EvalRun) -> EvalRun:
        """Raises InvalidRequest: it has ended already."""

        def cancelled(now: EvalRun) -> EvalRun:
            if now.status in ("completed", "failed"):
                raise InvalidRequest(f"the run is {now.status}: it cannot be cancelled any more")
            return msgspec.structs.replace(now, status="canceled")

        return self.change_run(run, cancelled)

    def delete_run(self, run: EvalRun) -> None:
        with self._database.write() as connection:
            connection.execute(
                delete(eval_output_items).where(eval_output_items.c.run_id == run.id)
            )
            connection.execute(delete(eval_runs).where(eval_runs.c.id == run.id))

    # What came of the rows

    def done(self, run: EvalRun) -> set[int]:
        """The rows that have an outcome."""
        query = select(eval_output_items.c.number).where(eval_output_items.c.run_id == run.id)
        with self._database.read() as connection:
            return set(connection.execute(query).scalars())

    def put(
        self, run: EvalRun, items: Sequence[OutputItem], change: Callable[[EvalRun], EvalRun]
    ) -> EvalRun:
        """Keep outcomes and what they change in the run, both or neither.

        Raises:
            NotFound: the run was deleted meanwhile.
        """
        rows = [
            {
                "run_id": run.id,
                "number": each.number,
                "status": each.status,
                "item_sealed": self._sealed(run.eval_id, each),
            }
            for each in items
        ]

        def with_items(now: EvalRun, connection: Connection) -> EvalRun:
            if rows:
                connection.execute(insert(eval_output_items), rows)
            return change(now)

        return self._changed(run, with_items)

    def items(
        self, run: EvalRun, *, after: int | None, limit: int, newest_first: bool, status: str | None
    ) -> tuple[list[OutputItem], bool]:
        """Outcomes by row, and whether there are more behind them."""
        table = eval_output_items
        query = select(table.c.item_sealed).where(table.c.run_id == run.id)
        if status is not None:
            query = query.where(table.c.status == status)
        if after is not None:
            query = query.where(table.c.number < after if newest_first else table.c.number > after)
        query = query.order_by(table.c.number.desc() if newest_first else table.c.number)
        with self._database.read() as connection:
            rows = list(connection.execute(query.limit(limit + 1)).scalars())
        found = [each for row in rows if (each := self._opened(run.eval_id, row, OutputItem))]
        return found[:limit], len(rows) > limit

    def item(self, run: EvalRun, number: int) -> OutputItem:
        """Raises NotFound."""
        found, _ = self.items(run, after=number - 1, limit=1, newest_first=False, status=None)
        if not found or found[0].number != number:
            raise NotFound("there is no such output item", param="output_item_id")
        return found[0]

    def _changed(self, run: EvalRun, change: Callable[[EvalRun, Connection], EvalRun]) -> EvalRun:
        query = select(eval_runs.c.state_sealed).where(eval_runs.c.id == run.id)
        with self._database.write() as connection:
            sealed = connection.execute(query).scalar()
            now = None if sealed is None else self._opened(run.eval_id, sealed, EvalRun)
            if now is None:
                raise NotFound(f"there is no run {run.id!r}")
            changed = change(now, connection)
            if changed != now:
                data = self._sealed(run.eval_id, changed)
                values = {"status": changed.status, "state_sealed": data}
                connection.execute(update(eval_runs).where(eval_runs.c.id == run.id), values)
        return changed

    def _sealed(self, eval_id: str, what: msgspec.Struct) -> bytes:
        self._vault.unlock_now(_subject(eval_id))
        return self._vault.seal_bytes(_subject(eval_id), msgspec.json.encode(what))

    def _opened(self, eval_id: str, sealed: bytes, kind: type[T]) -> T | None:
        data = self._vault.unseal_bytes_if_kept(_subject(eval_id), sealed)
        return None if data is None else msgspec.json.decode(data, type=kind)


def _subject(eval_id: str) -> str:
    return f"eval:{eval_id}"
