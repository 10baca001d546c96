"""The journal: a ring of records in a memory-mapped file. Appending is a memory copy.

The kernel keeps a mapped page when the process dies, so a record survives `kill -9` from the
moment `append` returns; it takes no system call and waits for nothing. A power cut may lose what
the kernel had not written back yet (some seconds): see docs/decisions/0010.

Layout, little-endian:
    page 0          magic, capacity; two tail slots (position, sequence, CRC), written in turn;
                    one head slot of the same form
    page 1 …        the ring: frames one after the other, wrapping at the end
    frame           length, CRC, sequence, length of kind | kind | payload

A frame counts only if its CRC holds and its sequence is the one expected, so neither a torn frame
nor one of the ring's last lap is ever taken for a record. The head slot says how far frames go:
where one below it does not count, the disk has lost it, and reading goes on at the next that does
(`Batch.lost` says how many are missing).

Not covered: file systems that copy on write (btrfs, ZFS) may need space for a page that is
already there, so a full disk can end the process; keep the home elsewhere.
"""

import mmap
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from headrace.storage.errors import StateUnusable

__all__ = ["CAPACITY_BYTES", "Batch", "Journal", "Record"]

CAPACITY_BYTES = 32 * 1024 * 1024
"""About 4,000 turns of 8 KB: a minute of a busy service while the database cannot be written."""

_MAGIC = b"HRACEJ01"
_PAGE = 4096
_HEAD = struct.Struct("<8sQ")
_SLOT = struct.Struct("<QQI")
_SLOT_AT = (64, 128)
_HEAD_SLOT_AT = 192
_FRAME = struct.Struct("<IIQB")
_CHECKED = struct.Struct("<IQB")
_SEQUENCE_AT = 8
"""Where in a frame its sequence stands."""
_LOOK_AHEAD = 256
"""After a damaged frame, how many sequence numbers are looked for: a page holds 240 at most."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record as it was appended."""

    kind: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Batch:
    """Records in order, and where the next one begins."""

    records: tuple[Record, ...]
    position: int
    sequence: int
    lost: int = 0
    """Records before `position` that cannot be read, because their place on the disk is damaged."""


class Journal:
    """One writer, one reader, in one process. Positions count bytes since the file was made."""

    def __init__(self, file: int, ring: mmap.mmap, capacity: int) -> None:
        self._file = file
        self._map = ring
        self.capacity = capacity
        self.record_limit = capacity // 4
        """The longest record, in bytes: one turn must not push out all others."""
        self._slot = 0
        self._tail, self._tail_sequence = self._read_tail()
        # One tuple, so that the reader's thread never sees half of a change.
        self._end = self._scan()

    @classmethod
    def open(cls, path: Path, capacity: int = CAPACITY_BYTES) -> Self:
        """Open the journal, or make one of `capacity` bytes (an existing one keeps its own).

        The caller keeps other processes out (`storage/lock.py`).

        Raises:
            StateUnusable: it cannot be made, for want of space or permission, or is damaged.
        """
        try:
            file = _open_or_create(path, capacity)
        except OSError as error:
            raise StateUnusable(
                f"{path}: the journal of {capacity // 1024} KiB cannot be made: {error.strerror}",
                hint="free some disk space or mend the permissions, then start again",
            ) from error
        try:
            capacity = _capacity(file, path)
            return cls(file, mmap.mmap(file, _PAGE + capacity), capacity)
        except BaseException:
            os.close(file)
            raise

    def close(self) -> None:
        """Write the pages back and close. Records not yet read stay for the next process."""
        if self._map.closed:
            return
        self._map.flush()
        self._map.close()
        os.close(self._file)

    @property
    def pending_bytes(self) -> int:
        """Bytes appended and not yet advanced over."""
        return self._end[0] - self._tail

    @property
    def sequence(self) -> int:
        """Sequence number of the last record appended; 0 before the first."""
        return self._end[1]

    @property
    def tail_sequence(self) -> int:
        """Sequence number of the last record advanced over; 0 before the first."""
        return self._tail_sequence

    def append(self, kind: str, payload: bytes) -> bool:
        """Copy a record into the ring. False: it did not fit, and nothing was changed.

        Call it from one thread at a time. The reader works beside it without a lock: it only
        reads below `_end`, which moves once the record is whole.
        """
        name = kind.encode()
        size = len(name) + len(payload)
        head, sequence = self._end
        if head + _FRAME.size + size - self._tail > self.capacity or size > self.record_limit:
            return False
        sequence += 1
        crc = zlib.crc32(_CHECKED.pack(size, sequence, len(name)))
        crc = zlib.crc32(payload, zlib.crc32(name, crc))
        frame = b"".join((_FRAME.pack(size, crc, sequence, len(name)), name, payload))
        at = self._put(head, frame)
        _write_slot(self._map, _HEAD_SLOT_AT, at, sequence)
        self._end = (at, sequence)
        return True

    def read(self, max_records: int, max_bytes: int) -> Batch:
        """The oldest records, at least one if there is any; they stay until `advance`."""
        records: list[Record] = []
        position, sequence, lost, taken = self._tail, self._tail_sequence, 0, 0
        end = self._end
        while position < end[0] and len(records) < max_records and taken < max_bytes:
            found = self._frame(position, sequence + 1, end[0])
            if found is None:
                resumed = self._resume(position, sequence, end)
                lost += resumed[1] - sequence
                position, sequence = resumed
                continue
            record, position = found
            records.append(record)
            sequence, taken = sequence + 1, taken + len(record.payload)
        return Batch(tuple(records), position, sequence, lost)

    def advance(self, batch: Batch) -> None:
        """Free the batch's space; call it once its records are safe elsewhere."""
        self._slot ^= 1
        # The other slot stays whole until this one is, so a kill in between loses no more than
        # this advance, and the records come again.
        _write_slot(self._map, _SLOT_AT[self._slot], batch.position, batch.sequence)
        self._tail_sequence = batch.sequence
        self._tail = batch.position

    def _read_tail(self) -> tuple[int, int]:
        best: tuple[int, int] | None = None
        for index, at in enumerate(_SLOT_AT):
            found = _read_slot(self._map, at)
            if found is not None and (best is None or found[1] >= best[1]):
                best = found
                self._slot = index
        if best is None:
            raise StateUnusable(
                "the journal's first page is damaged",
                hint="move the journal file away and start again; what it held is lost",
            )
        return best

    def _scan(self) -> tuple[int, int]:
        """Where the records of an earlier process end, as (position, sequence)."""
        limit = self._tail + self.capacity
        end = self._whole_until((self._tail, self._tail_sequence), limit)
        noted = _read_slot(self._map, _HEAD_SLOT_AT)
        if noted is not None and end[0] < noted[0] <= limit and end[1] < noted[1]:
            # Frames in between are damaged; `read` skips them.
            return self._whole_until(noted, limit)
        return end

    def _whole_until(self, end: tuple[int, int], limit: int) -> tuple[int, int]:
        while (found := self._frame(end[0], end[1] + 1, limit)) is not None:
            end = (found[1], end[1] + 1)
        return end

    def _frame(self, position: int, sequence: int, limit: int) -> tuple[Record, int] | None:
        """The frame of that sequence at that position, and its end; None if it is not whole."""
        if position + _FRAME.size > limit:
            return None
        size, crc, found, name_size = _FRAME.unpack(self._get(position, _FRAME.size))
        end = position + _FRAME.size + size
        if found != sequence or end > limit or not name_size <= size <= self.record_limit:
            return None
        body = self._get(position + _FRAME.size, size)
        if crc != zlib.crc32(body, zlib.crc32(_CHECKED.pack(size, sequence, name_size))):
            return None
        return Record(body[:name_size].decode(), body[name_size:]), end

    def _resume(self, position: int, sequence: int, end: tuple[int, int]) -> tuple[int, int]:
        """Past a damaged frame: where the next whole one begins, and the sequence before it."""
        region = self._get(position, end[0] - position)
        for following in range(sequence + 2, min(end[1], sequence + _LOOK_AHEAD) + 1):
            mark = struct.pack("<Q", following)
            at = region.find(mark, _FRAME.size)
            while at >= 0:
                begin = position + at - _SEQUENCE_AT
                if self._frame(begin, following, end[0]) is not None:
                    return begin, following - 1
                at = region.find(mark, at + 1)
        return end

    def _put(self, position: int, data: bytes) -> int:
        at = position % self.capacity
        room = self.capacity - at
        if len(data) <= room:
            self._map[_PAGE + at : _PAGE + at + len(data)] = data
        else:
            self._map[_PAGE + at : _PAGE + self.capacity] = data[:room]
            self._map[_PAGE : _PAGE + len(data) - room] = data[room:]
        return position + len(data)

    def _get(self, position: int, size: int) -> bytes:
        at = position % self.capacity
        room = self.capacity - at
        if size <= room:
            return self._map[_PAGE + at : _PAGE + at + size]
        return (
            self._map[_PAGE + at : _PAGE + self.capacity] + self._map[_PAGE : _PAGE + size - room]
        )


def _write_slot(ring: mmap.mmap, at: int, position: int, sequence: int) -> None:
    _SLOT.pack_into(ring, at, position, sequence, _slot_crc(position, sequence))


def _read_slot(ring: mmap.mmap, at: int) -> tuple[int, int] | None:
    """(position, sequence), or None when the slot was never, or only half, written."""
    position, sequence, crc = _SLOT.unpack_from(ring, at)
    return (position, sequence) if crc == _slot_crc(position, sequence) else None


def _slot_crc(position: int, sequence: int) -> int:
    return zlib.crc32(struct.pack("<QQ", position, sequence))


def _open_or_create(path: Path, capacity: int) -> int:
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Made beside its place and renamed when whole, so that no start finds half a journal.
        fresh = path.with_suffix(".new")
        try:
            _create(fresh, capacity)
        except OSError:
            fresh.unlink(missing_ok=True)
            raise
        fresh.rename(path)
    return os.open(path, os.O_RDWR)


def _create(path: Path, capacity: int) -> None:
    """A journal with every block allocated, so that a full disk can never end the process."""
    path.unlink(missing_ok=True)
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.posix_fallocate(file, 0, _PAGE + capacity)
        page = bytearray(_PAGE)
        _HEAD.pack_into(page, 0, _MAGIC, capacity)
        _SLOT.pack_into(page, _SLOT_AT[0], 0, 0, _slot_crc(0, 0))
        os.pwrite(file, page, 0)
        # Written once, an append's page fault has no block left to convert in the file system.
        zeros = bytes(1024 * 1024)
        for at in range(0, capacity, len(zeros)):
            os.pwrite(file, zeros[: capacity - at], _PAGE + at)
        os.fsync(file)
    finally:
        os.close(file)


def _capacity(file: int, path: Path) -> int:
    """The capacity the journal was made with; raises StateUnusable if it is not a journal."""
    head = os.pread(file, _HEAD.size, 0)
    if len(head) == _HEAD.size:
        magic, capacity = _HEAD.unpack(head)
        if magic == _MAGIC and os.fstat(file).st_size == _PAGE + capacity:
            return int(capacity)
    raise StateUnusable(
        f"{path} is not a whole journal",
        hint="move the file away and start again; records not yet in the database are lost",
    )
