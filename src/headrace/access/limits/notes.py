"""What has changed in the counters, on its way into the journal: once for many calls.

Records say what a counter holds, so one record says as much as those before it together. Calls let
in are noted when the event loop's turn ends, before anything can come back from a model; what a
call has really used, with the next of them or 50 ms later. A `kill -9` in between leaves what was
reserved in its place.
"""

import asyncio

import msgspec

from headrace.access.limits.ledger import Change, changes_of
from headrace.access.limits.plan import Entry, Plan
from headrace.storage.writer import RecordWriter

__all__ = ["LIMIT_USE", "Notes"]

LIMIT_USE = "limit.use"
"""The kind of the journal's records about limits."""
SETTLED_WITHIN_S = 0.05
"""As long as a record waits for the database anyway."""

_encode = msgspec.msgpack.Encoder().encode


class Notes:
    """Collects for one limiter. Without an event loop each change is a record of its own."""

    def __init__(self, writer: RecordWriter) -> None:
        self._writer = writer
        self._loop: asyncio.AbstractEventLoop | None = None
        self._noted: dict[tuple[Plan, int, int, int], Entry] = {}
        """A call for each set of counters and each time that something changed at."""
        self._is_due = False
        self._timer: asyncio.TimerHandle | None = None

    def collect_on(self, loop: asyncio.AbstractEventLoop) -> None:
        """Collect from now on; this loop says when a record is due."""
        self._loop = loop

    def entered(self, entry: Entry) -> None:
        """A call was let in, or taken back."""
        self._noted[entry.plan, entry.slot, entry.day, entry.month] = entry
        if self._loop is None:
            self.flush()
        elif not self._is_due:
            self._is_due = True
            self._loop.call_soon(self.flush)

    def settled(self, entry: Entry, slot: int) -> None:
        """A call was settled: what counters hold for `slot` has changed."""
        self._noted[entry.plan, slot, entry.day, entry.month] = entry
        if self._loop is None:
            self.flush()
        elif self._timer is None:
            self._timer = self._loop.call_later(SETTLED_WITHIN_S, self._settle)

    def flush(self) -> None:
        """Put what was noted into the journal."""
        self._is_due = False
        if not self._noted:
            return
        changes: list[Change] = []
        for (_, slot, _, _), entry in self._noted.items():
            changes += changes_of(entry, slot)
        self._noted.clear()
        self._writer.append(LIMIT_USE, _encode(changes))

    def close(self) -> None:
        """Put the last of it into the journal; later changes are records of their own."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop = None
        self.flush()

    def _settle(self) -> None:
        self._timer = None
        self.flush()
