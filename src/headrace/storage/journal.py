"""The journal: a ring of records in a memory-mapped file. Appending is a memory copy.

The kernel keeps a mapped page when the process dies, so a record survives `kill -9` from the
moment `append` returns; it takes no system call and waits for nothing. A power cut may lose what
the kernel had not written back yet (some seconds): see docs/decisions/0010.

Layout, little-endian:
    page 0          magic, capacity; two tail slots (position, sequence, CRC), written in turn
    page 1 …        the ring: frames one after the other, wrapping at the end
    frame           length, CRC, sequence, length of kind | kind | payload

A frame counts only if its CRC holds and its sequence is the one expected, so neither a torn frame
nor one of the ring's last lap is ever taken for a record.

Not covered: file systems that copy on write (btrfs, ZFS) may need space for a page that is
already there, so a full disk can end the process; keep the home elsewhere.
"""

import mmap
import os
import struct
import zlib
from collections.abc import Iterator
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
_FRAME = struct.Struct("<IIQB")
_CHECKED = struct.Struct("<IQB")


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
        self._head, self._sequence = self._scan()

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
        return self._head - self._tail

    @property
    def sequence(self) -> int:
        """Sequence number of the last record appended; 0 before the first."""
        return self._sequence

    @property
    def tail_sequence(self) -> int:
        """Sequence number of the last record advanced over; 0 before the first."""
        return self._tail_sequence

    def append(self, kind: str, payload: bytes) -> bool:
        """Copy a record into the ring. False: it did not fit, and nothing was changed.

        Call it from one thread at a time. The reader works beside it without a lock: it only
        reads below `_head`, which moves once the record is whole.
        """
        name = kind.encode()
        size = len(name) + len(payload)
        head = self._head
        if head + _FRAME.size + size - self._tail > self.capacity or size > self.record_limit:
            return False
        sequence = self._sequence + 1
        crc = zlib.crc32(_CHECKED.pack(size, sequence, len(name)))
        crc = zlib.crc32(payload, zlib.crc32(name, crc))
        at = self._put(head, _FRAME.pack(size, crc, sequence, len(name)))
        at = self._put(at, name)
        self._head = self._put(at, payload)
        self._sequence = sequence
        return True

    def read(self, max_records: int, max_bytes: int) -> Batch:
        """The oldest records, at least one if there is any; they stay until `advance`."""
        records: list[Record] = []
        position, sequence, taken = self._tail, self._tail_sequence, 0
        for record, end in self._frames(position, sequence, self._head):
            records.append(record)
            position, sequence, taken = end, sequence + 1, taken + len(record.payload)
            if len(records) >= max_records or taken >= max_bytes:
                break
        return Batch(tuple(records), position, sequence)

    def advance(self, batch: Batch) -> None:
        """Free the batch's space; call it once its records are safe elsewhere."""
        self._slot ^= 1
        body = struct.pack("<QQ", batch.position, batch.sequence)
        # The other slot stays whole until this one is, so a kill in between loses no more than
        # this advance, and the records come again.
        _SLOT.pack_into(
            self._map, _SLOT_AT[self._slot], batch.position, batch.sequence, zlib.crc32(body)
        )
        self._tail_sequence = batch.sequence
        self._tail = batch.position

    def _read_tail(self) -> tuple[int, int]:
        best: tuple[int, int] | None = None
        for index, at in enumerate(_SLOT_AT):
            position, sequence, crc = _SLOT.unpack_from(self._map, at)
            if crc != zlib.crc32(struct.pack("<QQ", position, sequence)):
                continue
            if best is None or sequence >= best[1]:
                best = (position, sequence)
                self._slot = index
        if best is None:
            raise StateUnusable(
                "the journal's first page is damaged",
                hint="move the journal file away and start again; what it held is lost",
            )
        return best

    def _scan(self) -> tuple[int, int]:
        """Where the records of an earlier process end."""
        position, sequence = self._tail, self._tail_sequence
        for _, end in self._frames(position, sequence, position + self.capacity):
            position, sequence = end, sequence + 1
        return position, sequence

    def _frames(self, position: int, sequence: int, limit: int) -> Iterator[tuple[Record, int]]:
        """Whole frames after `sequence`, from `position` on, none beyond `limit`."""
        while position + _FRAME.size <= limit:
            size, crc, found, name_size = _FRAME.unpack(self._get(position, _FRAME.size))
            end = position + _FRAME.size + size
            sequence += 1
            if found != sequence or end > limit or not name_size <= size <= self.record_limit:
                return
            body = self._get(position + _FRAME.size, size)
            if crc != zlib.crc32(body, zlib.crc32(_CHECKED.pack(size, sequence, name_size))):
                return
            yield Record(body[:name_size].decode(), body[name_size:]), end
            position = end

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
        empty = struct.pack("<QQ", 0, 0)
        page = bytearray(_PAGE)
        _HEAD.pack_into(page, 0, _MAGIC, capacity)
        _SLOT.pack_into(page, _SLOT_AT[0], 0, 0, zlib.crc32(empty))
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
