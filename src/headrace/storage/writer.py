"""The batch writer: one thread that carries records from the journal into the database.

`append` is a memory copy on the request path; everything slow happens here. A record leaves the
journal only after the database has committed it, so a crash, a locked database or a full disk
delays records and loses none, until the ring is full; then new ones are shed, and counted.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

from sqlalchemy import Connection
from sqlalchemy.exc import (
    DataError,
    DBAPIError,
    IntegrityError,
    ProgrammingError,
    SQLAlchemyError,
    StatementError,
)

from headrace.storage.database import Database
from headrace.storage.journal import CAPACITY_BYTES, Batch, Journal
from headrace.storage.lock import HomeLock
from headrace.storage.reject import RejectFile

__all__ = [
    "BatchWriter",
    "CommittedHandler",
    "JointHandler",
    "RecordHandler",
    "RecordWriter",
]

RecordHandler: TypeAlias = Callable[[Connection, Sequence[bytes]], None]
"""Writes records of one kind. May be called again with the same records, so it must be
idempotent (insert-or-ignore by id, upsert). Order holds within a kind, not between kinds."""
JointHandler: TypeAlias = Callable[[Connection, Sequence[Sequence[bytes]]], None]
"""The same for a batch's records of several kinds, a group for each."""
CommittedHandler: TypeAlias = Callable[[Sequence[bytes]], None]
"""Told of records once they are committed; at most once each."""

_log = logging.getLogger(__name__)

BATCH_RECORDS = 512
BATCH_BYTES = 8 * 1024 * 1024
INTERVAL_S = 0.05
"""How long a record waits at most before its batch is written, when all is well."""
RETRY_FIRST_S, RETRY_MOST_S = 0.1, 5.0
CLOSE_S = 10.0
"""How long `close` tries to empty the journal; what is left is written at the next start."""


class RecordWriter(Protocol):
    """What those who append need of the writer."""

    def append(self, kind: str, payload: bytes) -> bool: ...


class BatchWriter:
    """See the module. Make it, `start`, `append` from the event loop's thread, `close`."""

    def __init__(
        self,
        database: Database,
        journal_path: Path,
        handlers: Mapping[str, RecordHandler],
        *,
        committed: Mapping[str, CommittedHandler] | None = None,
        together: Mapping[tuple[str, ...], JointHandler] | None = None,
        capacity_bytes: int = CAPACITY_BYTES,
    ) -> None:
        """Open the journal and keep other services out of the home.

        Args:
            together: who writes a batch's records of several kinds at once; `handlers` has those
                kinds too, for records that are written one by one.

        Raises:
            HomeInUse: a service already runs on this home.
            StateUnusable: there is no space for the journal, or it is damaged.
        """
        self._database = database
        self._handlers = dict(handlers)
        self._committed = dict(committed or {})
        self._together = dict(together or {})
        self._lock = HomeLock.acquire(journal_path.with_suffix(".lock"))
        try:
            self._journal = Journal.open(journal_path, capacity_bytes)
        except BaseException:
            self._lock.release()
            raise
        self._rejects = RejectFile(journal_path.with_suffix(".rejected"))
        self._append_lock = threading.Lock()
        self._flushes: list[tuple[int, Callable[[], object]]] = []
        self._flush_lock = threading.Lock()
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None
        self._shedding = False
        self.shed = 0
        """Records refused because the ring was full or the record too long."""
        self.rejected = 0
        """Records the database would never take; kept in the file `journal.rejected`."""
        self.damaged = 0
        """Records that could not be read back from the journal: the disk had changed them."""
        self.failure: str | None = None
        """Why the last attempt to write failed; None while all is well."""

    @property
    def is_healthy(self) -> bool:
        return self.failure is None

    @property
    def pending_bytes(self) -> int:
        """Bytes in the journal that the database does not have yet."""
        return self._journal.pending_bytes

    @property
    def capacity_bytes(self) -> int:
        return self._journal.capacity

    def start(self) -> None:
        """Write what an earlier process left in the journal, then start the thread."""
        if self._journal.pending_bytes:
            _log.info("writing %d bytes an earlier run left", self._journal.pending_bytes)
            self._drain_once()
        self._thread = threading.Thread(target=self._run, name="headrace-writer", daemon=True)
        self._thread.start()

    def append(self, kind: str, payload: bytes) -> bool:
        """Take a record over; it is safe from a crash once this returns True.

        False: it was shed, because the ring is full or the record exceeds a quarter of it.
        """
        # Only appenders share this lock, and they hold it for a memory copy: on the event loop
        # it is free unless another thread is appending at that very moment.
        with self._append_lock:
            taken = self._journal.append(kind, payload)
        if taken:
            if self._journal.pending_bytes * 2 > self._journal.capacity:
                self._wake.set()
            return True
        self.shed += 1
        if not self._shedding:
            self._shedding = True
            _log.error(
                "the journal cannot take a %s record of %d bytes (%d of %d bytes waiting%s): "
                "shedding records until there is room",
                kind,
                len(payload),
                self._journal.pending_bytes,
                self._journal.capacity,
                f"; {self.failure}" if self.failure else "",
            )
        return False

    async def flush(self) -> None:
        """Wait until everything appended so far is in the database.

        As long as the database cannot be written this waits: put a limit around it.
        """
        loop = asyncio.get_running_loop()
        done = asyncio.Event()
        sequence = self._journal.sequence
        with self._flush_lock:
            if self._journal.tail_sequence >= sequence:
                return
            self._flushes.append((sequence, lambda: loop.call_soon_threadsafe(done.set)))
        self._wake.set()
        await done.wait()

    def close(self) -> None:
        """Write what is waiting, for at most 10 s, then close. The rest stays in the journal."""
        self._closing.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._journal.pending_bytes:
            _log.warning(
                "%d bytes stay in the journal for the next start", self._journal.pending_bytes
            )
        self._journal.close()
        self._lock.release()

    def _run(self) -> None:
        retry_s = RETRY_FIRST_S
        while not self._closing.is_set():
            self._wake.wait(INTERVAL_S)
            self._wake.clear()
            if self._drain_once():
                retry_s = RETRY_FIRST_S
                continue
            # A full journal wakes this thread with each record; a sick database must not be
            # asked more often for it.
            self._closing.wait(retry_s)
            retry_s = min(retry_s * 2, RETRY_MOST_S)
        give_up_at = time.monotonic() + CLOSE_S
        while not self._drain_once() and time.monotonic() < give_up_at:
            time.sleep(RETRY_FIRST_S)

    def _drain_once(self) -> bool:
        """Write all that waits. False: the database could not be written; try again later."""
        while self._journal.pending_bytes:
            batch = self._journal.read(BATCH_RECORDS, BATCH_BYTES)
            try:
                self._write(batch)
            except SQLAlchemyError as error:
                self._failed(str(error.orig if isinstance(error, DBAPIError) else error))
                return False
            self._journal.advance(batch)
            if batch.lost:
                self.damaged += batch.lost
                _log.error("%d records are lost: their place in the journal is damaged", batch.lost)
            self._recovered()
            self._tell(batch)
        return True

    def _write(self, batch: Batch) -> None:
        groups = _by_kind(batch)
        if not groups:
            return
        try:
            with self._database.write(alone=False) as connection:
                for kinds, handler in self._together.items():
                    joint = [groups.pop(kind, []) for kind in kinds]
                    if any(joint):
                        handler(connection, joint)
                for kind, payloads in groups.items():
                    self._handlers[kind](connection, payloads)
        except Exception as error:
            if not _is_records_fault(error):
                raise
            _log.exception("a batch of %d records failed; trying one by one", len(batch.records))
            self._write_singly(batch)

    def _write_singly(self, batch: Batch) -> None:
        """One bad record must not hold up all others: put it aside, keep the rest."""
        for record in batch.records:
            try:
                with self._database.write(alone=False) as connection:
                    self._handlers[record.kind](connection, [record.payload])
            except Exception as error:
                if not _is_records_fault(error):
                    raise
                self.rejected += 1
                self._rejects.keep(record)
                _log.exception("a %s record was put aside in %s", record.kind, self._rejects.path)

    def _tell(self, batch: Batch) -> None:
        sequence = batch.sequence
        with self._flush_lock:
            reached = [done for upto, done in self._flushes if upto <= sequence]
            self._flushes = [entry for entry in self._flushes if entry[0] > sequence]
        for done in reached:
            # The loop may have closed while its flush was waiting; then nobody is left to tell.
            try:
                done()
            except RuntimeError:
                continue
        for kind, payloads in _by_kind(batch).items():
            handler = self._committed.get(kind)
            if handler is not None:
                try:
                    handler(payloads)
                except Exception:  # noqa: BLE001 - they are stored; who listens is not our affair
                    _log.exception("telling of %d committed %s records", len(payloads), kind)

    def _failed(self, reason: str) -> None:
        if self.failure is None:
            _log.error("the database cannot be written (%s); records wait in the journal", reason)
        self.failure = reason

    def _recovered(self) -> None:
        if self.failure is not None:
            _log.info("the database can be written again")
            self.failure = None
        if self._shedding and self._journal.pending_bytes * 2 < self._journal.capacity:
            _log.warning("the journal has room again; %d records were shed so far", self.shed)
            self._shedding = False


def _is_records_fault(error: Exception) -> bool:
    """Whether the record is to blame; otherwise the database is, and later may be better."""
    state = str(getattr(getattr(error, "orig", None), "sqlstate", None) or "")
    if state.startswith("42"):
        # PostgreSQL's class of missing rights, tables and columns: no record can help that.
        return False
    if isinstance(error, IntegrityError | DataError | ProgrammingError):
        return True
    if isinstance(error, DBAPIError):
        return False
    return isinstance(error, StatementError) or not isinstance(error, SQLAlchemyError)


def _by_kind(batch: Batch) -> dict[str, list[bytes]]:
    groups: dict[str, list[bytes]] = {}
    for record in batch.records:
        groups.setdefault(record.kind, []).append(record.payload)
    return groups
