"""Which processes work on runs, and which of them will never come back.

Each says every few seconds that it is there. One that has not for `LEASE_S` is taken for dead; one
of the same machine at once, when the kernel has dropped the lock on its file.
"""

import fcntl
import os
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec
from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from headrace.ids import new_id
from headrace.storage.database import Database
from headrace.storage.tables import workflow_executors

__all__ = ["LEASE_S", "Executor", "Lease", "this_host"]

LEASE_S = 20.0
BEAT_S = 4.0


class Executor(msgspec.Struct, frozen=True, kw_only=True):
    """A process that works on runs."""

    id: str
    host: str
    pid: int
    started_at: float
    seen_at: float


def this_host() -> str:
    """The machine's name, as the others see it."""
    return socket.gethostname()


class Lease:
    """This process's place among the executors, for as long as it is open."""

    def __init__(
        self,
        database: Database,
        home: Path,
        *,
        clock: Callable[[], float] = time.time,
        lease_s: float = LEASE_S,
    ) -> None:
        self.id = new_id()
        self._database = database
        self._folder = home / "workflows" / "executors"
        self._clock = clock
        self._lease_s = lease_s
        self._file = -1
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="workflow-lease", daemon=True)

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._file = os.open(self._folder / self.id, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        now = self._clock()
        values = {"host": this_host(), "pid": os.getpid(), "started_at": now, "seen_at": now}
        with self._database.write() as connection:
            connection.execute(insert(workflow_executors).values(id=self.id, **values))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """The row stays: what this process leaves is recovered as if it had been killed."""
        self._ended.set()
        self._thread.join()
        os.close(self._file)

    def living(self) -> list[str]:
        """The executors that are not known to be dead; this one among them."""
        return [each.id for each in self.all() if each.id == self.id or not self._is_dead(each)]

    def dead(self) -> list[str]:
        """The executors that will never come back, and that nobody has dealt with."""
        return [each.id for each in self.all() if each.id != self.id and self._is_dead(each)]

    def all(self) -> list[Executor]:
        """Every executor that is noted."""
        with self._database.read() as connection:
            rows = connection.execute(select(workflow_executors)).mappings()
            return [Executor(**row) for row in rows]

    def forget(self, executor_id: str) -> None:
        """What a dead one left has been taken over."""
        with self._database.write() as connection:
            connection.execute(
                delete(workflow_executors).where(workflow_executors.c.id == executor_id)
            )
        (self._folder / executor_id).unlink(missing_ok=True)

    def _is_dead(self, executor: Executor) -> bool:
        if executor.host == this_host() and self._is_unlocked(executor.id):
            return True
        return self._clock() - executor.seen_at > self._lease_s

    def _is_unlocked(self, executor_id: str) -> bool:
        try:
            file = os.open(self._folder / executor_id, os.O_RDONLY)
        except FileNotFoundError:
            # Another home's folder, or another machine of the same name: time will tell.
            return False
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return False
        finally:
            os.close(file)
        return True

    def _beat(self) -> None:
        while not self._ended.wait(BEAT_S):
            try:
                with self._database.write() as connection:
                    connection.execute(
                        update(workflow_executors)
                        .where(workflow_executors.c.id == self.id)
                        .values(seen_at=self._clock())
                    )
            except SQLAlchemyError:
                continue  # the next beat may find the database well again; else the lease ends
