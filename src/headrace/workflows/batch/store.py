"""Where batches are kept: rows of the database, changed only by whoever runs them."""

import time
from collections.abc import Callable, Sequence

import msgspec
from sqlalchemy import insert, select, update

from headrace.errors import InvalidRequest, NotFound
from headrace.ids import new_id
from headrace.storage.database import Database
from headrace.storage.tables import batches, files
from headrace.workflows.batch.job import ENDED, ENDPOINTS, Batch, Endpoint

__all__ = ["BatchStore"]

WINDOW = "24h"
WINDOW_S = 24 * 3600.0


class BatchStore:
    """Reads and writes the database: not for an event loop."""

    def __init__(self, database: Database, *, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self.clock = clock
        self.is_shared = database.is_postgres
        """Whether other homes' batches may be among them."""

    def create(
        self,
        *,
        key_id: str,
        endpoint: str,
        input_file_id: str,
        completion_window: str = WINDOW,
        metadata: dict[str, str] | None = None,
    ) -> Batch:
        """A new batch, to be validated by whoever runs it.

        Raises:
            InvalidRequest: an endpoint that takes no batches, or a window that there is not.
        """
        if endpoint not in ENDPOINTS:
            raise InvalidRequest(
                f"'endpoint' is {endpoint!r}; allowed: {', '.join(ENDPOINTS)}", param="endpoint"
            )
        if completion_window != WINDOW:
            raise InvalidRequest(
                f"'completion_window' is {completion_window!r}; allowed: {WINDOW}",
                param="completion_window",
            )
        now = self.clock()
        batch = Batch(
            id=f"batch_{new_id()}",
            key_id=key_id,
            endpoint=msgspec.convert(endpoint, Endpoint),
            input_file_id=input_file_id,
            completion_window=completion_window,
            created_at=now,
            expires_at=now + WINDOW_S,
            metadata=metadata,
        )
        with self._database.write() as connection:
            connection.execute(insert(batches), _row(batch))
        return batch

    def get(self, batch_id: str, key_id: str | None) -> Batch:
        """
        Args:
            key_id: who asks; None may see every batch.

        Raises:
            NotFound: there is no such batch, or it is another key's.
        """
        query = select(batches.c.state).where(batches.c.id == batch_id)
        with self._database.read() as connection:
            state = connection.execute(query).scalar()
        found = None if state is None else msgspec.json.decode(state, type=Batch)
        if found is None or (key_id is not None and found.key_id != key_id):
            raise NotFound(f"there is no batch {batch_id!r}", param="batch_id")
        return found

    def page(
        self, key_id: str | None, *, after: str | None = None, limit: int = 20
    ) -> tuple[list[Batch], bool]:
        """Batches, newest first, and whether there are more behind them."""
        query = select(batches.c.state).order_by(batches.c.id.desc()).limit(limit + 1)
        if key_id is not None:
            query = query.where(batches.c.key_id == key_id)
        if after is not None:
            query = query.where(batches.c.id < after)
        with self._database.read() as connection:
            found = [
                msgspec.json.decode(state, type=Batch)
                for state in connection.execute(query).scalars()
            ]
        return found[:limit], len(found) > limit

    def unended(self) -> list[Batch]:
        """All that somebody has to work on, oldest first."""
        query = (
            select(batches.c.state)
            .where(batches.c.status.not_in(sorted(ENDED)))
            .order_by(batches.c.id)
        )
        with self._database.read() as connection:
            states = connection.execute(query).scalars()
            return [msgspec.json.decode(state, type=Batch) for state in states]

    def without_file(self, waiting: Sequence[Batch]) -> set[str]:
        """Ids of those whose input file was deleted."""
        if not waiting:
            return set()
        query = select(files.c.id).where(files.c.id.in_({each.input_file_id for each in waiting}))
        with self._database.read() as connection:
            kept = set(connection.execute(query).scalars())
        return {each.id for each in waiting if each.input_file_id not in kept}

    def change(self, batch_id: str, change: Callable[[Batch], Batch]) -> Batch:
        """Change a batch as it is now, whoever else may want to: gives what it is then."""
        with self._database.write() as connection:
            query = select(batches.c.state).where(batches.c.id == batch_id)
            now = msgspec.json.decode(connection.execute(query).scalar_one(), type=Batch)
            changed = change(now)
            if changed != now:
                connection.execute(update(batches).where(batches.c.id == batch_id), _row(changed))
        return changed

    def cancel(self, batch_id: str, key_id: str | None) -> Batch:
        """Ask for the end of a batch; rows that are being answered still are.

        Raises:
            NotFound: as `get`.
            InvalidRequest: it has ended already.
        """
        self.get(batch_id, key_id)

        def cancelled(batch: Batch) -> Batch:
            if batch.status in ("cancelling", "cancelled"):
                return batch
            if batch.has_ended or batch.status == "finalizing":
                raise InvalidRequest(
                    f"the batch is {batch.status}: it cannot be cancelled any more"
                )
            return batch.moved("cancelling", self.clock())

        return self.change(batch_id, cancelled)


def _row(batch: Batch) -> dict[str, object]:
    return {
        "id": batch.id,
        "key_id": batch.key_id,
        "status": batch.status,
        "created_at": batch.created_at,
        "expires_at": batch.expires_at,
        "state": msgspec.json.encode(batch),
    }
