"""Which processes work on runs, and which of them will never come back.

Each says every few seconds that it is there. One that has not for `LEASE_S` is taken for dead; one
of the same machine at once, when the kernel has dropped the lock on its file.

Time alone may be wrong about it: a process that was stopped, or whom the database did not hear, is
taken for dead and comes back. Whoever took its runs over has deleted its row; it notices with its
next beat, and before it begins any run, and is noted anew under the same id, so that what it begins
from then on is recovered should it die. What was taken over stays with the other, which does each
of those runs once more from the steps that have ended: the epoch of a claim makes whatever this
process still says of them count for nothing, and `Engine` ends their steps here. Until it has, such
a step may be under way in both, so that an effect elsewhere must go by `Context.key`.
"""

import fcntl
import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self, cast

import msgspec
from sqlalchemy import CursorResult, delete, insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from headrace.ids import new_id
from headrace.storage.database import Database
from headrace.storage.tables import workflow_executors

__all__ = ["LEASE_S", "Executor", "Lease", "this_host"]

LEASE_S = 20.0
BEAT_S = 4.0

_log = logging.getLogger(__name__)


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
        self._lock = threading.Lock()
        """Held by whoever says that it is there: two of them would note it twice."""
        self._thread = threading.Thread(target=self._beat, name="workflow-lease", daemon=True)

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._note()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """The row stays: what this process leaves is recovered as if it had been killed."""
        self._end()
        self._unlock()

    def renew(self) -> None:
        """Say that this process is there; it is noted anew if another has taken it for dead."""
        # The next beat may find the database or the disk well again; else the lease ends.
        with self._lock, suppress(SQLAlchemyError, OSError):
            if self._ended.is_set():
                return
            with self._database.write() as connection:
                seen = connection.execute(
                    update(workflow_executors)
                    .where(workflow_executors.c.id == self.id)
                    .values(seen_at=self._clock())
                )
            if not cast("CursorResult[object]", seen).rowcount:
                _log.warning("this process was taken for dead; its runs go on elsewhere")
                self._note()

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
        """What a dead one left has been taken over; one that has come back meanwhile stays."""
        if executor_id == self.id:
            self._end()
        c = workflow_executors.c
        with self._database.write() as connection:
            row = connection.execute(select(workflow_executors).where(c.id == executor_id))
            found = row.mappings().first()
            if found is None or not (executor_id == self.id or self._is_dead(Executor(**found))):
                return
            connection.execute(delete(workflow_executors).where(c.id == executor_id))
            # Before the row is gone for others: what is noted anew after that has a new file.
            (self._folder / executor_id).unlink(missing_ok=True)

    def _note(self) -> None:
        """Lock the file, then have the row: one without the other looks dead, or is not there."""
        self._unlock()  # or a second lock on the file, where it is still there, would wait for it
        self._file = os.open(self._folder / self.id, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        now = self._clock()
        values = {"host": this_host(), "pid": os.getpid(), "started_at": now, "seen_at": now}
        with self._database.write() as connection:
            connection.execute(insert(workflow_executors).values(id=self.id, **values))

    def _unlock(self) -> None:
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _end(self) -> None:
        """Say no more that it is there."""
        with self._lock:
            self._ended.set()
        if self._thread.ident is not None:
            self._thread.join()

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
            self.renew()
