"""The table: counters by name in a memory-mapped file, under one lock. Nothing is ever moved.

The kernel keeps the pages when a process dies, so what is counted survives `kill -9` of every one
of them, and drops the lock of one that dies while it counts: who comes next repairs what it left.

Layout, native words of 8 bytes, in chunks of 1 MiB (page 0 of the file is the first chunk's head):
    head            magic, slots, bytes used, owner (slot + 1 of who is changing something, else 0)
    record          size, kind, length of name | words | name
    words           a window: changes, head, total, ring; a spend: changes, 4 x (period, USD);
                    places: changes, calls under way by process

Not covered: giving space back. A counter takes 1 KB until the service starts the next time.
"""

import fcntl
import mmap
import os
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from headrace.access.limits.errors import LimitsUnavailable
from headrace.access.limits.window import SLOTS

__all__ = ["PLACES", "SPEND", "WINDOW", "Record", "Table"]

WINDOW, SPEND, PLACES = 1, 2, 3
PERIODS = 4
CHUNK_BYTES = 1024 * 1024
MOST_CHUNKS = 512
"""Half a million counters; more than that are keys made by a mistake."""

_MAGIC = 0x31304C4152484352
_WORD = 8
_HEAD_WORDS = 4
_USED, _OWNER = 2, 3
_RECORD = struct.Struct("=QQQ")
_WORDS: Mapping[int, int] = {WINDOW: 3 + SLOTS, SPEND: 1 + 2 * PERIODS}


@dataclass(frozen=True, slots=True)
class Record:
    """One counter's place in the file."""

    name: str
    kind: int
    words: memoryview
    """Of `q`; the first one changes with every change."""


class Table:
    """Hold it (`with table:`) around whatever reads and changes counters together."""

    def __init__(self, file: int, slot: int) -> None:
        self._file = file
        self._slot = slot
        self._chunks: list[mmap.mmap] = []
        self._by_name: dict[str, Record] = {}
        self._records: list[Record] = []
        self._seen = _HEAD_WORDS * _WORD
        self._head = memoryview(self._chunk(0)).cast("q")[:_HEAD_WORDS]
        if self._head[0] != _MAGIC:
            raise LimitsUnavailable("the limits' table is damaged", hint="start the service again")
        self.slots = int(self._head[1])

    @classmethod
    def create(cls, path: Path, slots: int) -> Self:
        """An empty table for that many processes, in the place of an earlier one.

        Raises:
            OSError: there is no space for it.
        """
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)
        file = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            # Allocated, because a page without space would end the process that writes to it.
            os.posix_fallocate(file, 0, CHUNK_BYTES)
            head = struct.pack("=QQQQ", _MAGIC, slots, _HEAD_WORDS * _WORD, 0)
            os.pwrite(file, head, 0)
            fresh.rename(path)
            return cls(file, 0)
        except BaseException:
            os.close(file)
            raise

    @classmethod
    def open(cls, path: Path, slot: int) -> Self:
        """The table as the process of that slot.

        Raises:
            OSError: it is not there.
        """
        return cls(os.open(path, os.O_RDWR), slot)

    def close(self) -> None:
        """Let go of it. Views that are still held keep their pages."""
        self._by_name.clear()
        self._records.clear()
        os.close(self._file)

    def __enter__(self) -> Self:
        fcntl.flock(self._file, fcntl.LOCK_EX)
        if self._head[_OWNER]:
            self._repair()
        self._head[_OWNER] = self._slot + 1
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._head[_OWNER] = 0
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def record(self, name: str, kind: int) -> Record:
        """The counter of that name, made if there is none yet. Hold the table.

        Raises:
            LimitsUnavailable: there is no space for more.
        """
        found = self._by_name.get(name)
        if found is None:
            self._look()
            found = self._by_name.get(name) or self._add(name, kind)
        return found

    def records(self) -> Iterator[Record]:
        """Every counter there is; not those that others add meanwhile."""
        self._look()
        return iter(tuple(self._records))

    def vacate(self) -> None:
        """Free the places of calls that an earlier process of this slot had under way."""
        with self:
            for record in self.records():
                if record.kind == PLACES and record.words[1 + self._slot]:
                    record.words[1 + self._slot] = 0

    def _look(self) -> None:
        """Take over the records that others have added."""
        used = self._head[_USED]
        while self._seen < used:
            number, at = divmod(self._seen, CHUNK_BYTES)
            chunk = self._chunk(number)
            if CHUNK_BYTES - at < _RECORD.size:
                self._seen = (number + 1) * CHUNK_BYTES
                continue
            size, kind, name_size = _RECORD.unpack_from(chunk, at)
            if not size:
                self._seen = (number + 1) * CHUNK_BYTES
                continue
            begin = at + _RECORD.size
            end = begin + _WORD * self._words(kind)
            record = Record(
                bytes(chunk[end : end + name_size]).decode(),
                kind,
                memoryview(chunk)[begin:end].cast("q"),
            )
            self._by_name[record.name] = record
            self._records.append(record)
            self._seen += size

    def _add(self, name: str, kind: int) -> Record:
        encoded = name.encode()
        size = _RECORD.size + _WORD * self._words(kind) + -(-len(encoded) // _WORD) * _WORD
        used = self._head[_USED]
        number, at = divmod(used, CHUNK_BYTES)
        if at + size > CHUNK_BYTES:
            number, at = number + 1, 0
        if size > CHUNK_BYTES or number >= MOST_CHUNKS:
            raise LimitsUnavailable(
                "the limits' table has no room for more counters",
                hint="limit per team or model instead of per key, and start the service again",
            )
        begin = number * CHUNK_BYTES + at
        if os.fstat(self._file).st_size < (number + 1) * CHUNK_BYTES:
            try:
                os.posix_fallocate(self._file, number * CHUNK_BYTES, CHUNK_BYTES)
            except OSError as error:
                raise LimitsUnavailable(
                    "the limits' table cannot grow: the disk is full", hint="free some space"
                ) from error
        chunk = self._chunk(number)
        end = at + _RECORD.size + _WORD * self._words(kind)
        chunk[end : end + len(encoded)] = encoded
        _RECORD.pack_into(chunk, at, size, kind, len(encoded))
        self._head[_USED] = begin + size
        self._look()
        return self._by_name[name]

    def _words(self, kind: int) -> int:
        return _WORDS[kind] if kind in _WORDS else 1 + self.slots

    def _chunk(self, number: int) -> mmap.mmap:
        while len(self._chunks) <= number:
            offset = len(self._chunks) * CHUNK_BYTES
            self._chunks.append(mmap.mmap(self._file, CHUNK_BYTES, offset=offset))
        return self._chunks[number]

    def _repair(self) -> None:
        """A process died while it was counting: sums are made anew from their parts."""
        for record in self.records():
            if record.kind == WINDOW:
                record.words[2] = sum(record.words[3:])
