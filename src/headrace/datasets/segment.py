"""Segments: files of sealed rows, and beside each an index of what is in it.

A segment is a run of blocks. A block holds up to 256 rows of one subject, as JSON lines,
compressed, sealed under that subject's key, behind a head that says whose they are: who destroys
the key makes the rows unreadable and leaves the rest alone. The index has 24 bytes a row: its id
(16) and the hash of what it asks (8), so that versions are compared, split and added to without
reading any text. A segment is named after what is in it and never changes.
"""

import hashlib
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from headrace.datasets.errors import DatasetUnreadable
from headrace.datasets.example import Example
from headrace.privacy.errors import SealBroken
from headrace.privacy.vault import Vault

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Segment", "SegmentWriter", "count_of_subject", "read_index", "read_segment"]

INDEX_ROW = struct.Struct(">16sQ")
_BLOCK_ROWS = 256
_BLOCK_BYTES = 1024 * 1024
_LENGTH = struct.Struct(">I")
_MAGIC = b"headrace rows 1\n"


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a version."""

    id: str
    """SHA-256 of the ids of its rows, in order, and of all that the rows say, in hex."""
    rows: int
    bytes: int
    """Size on disk."""

    def path(self, folder: Path) -> Path:
        return folder / self.id[:2] / f"{self.id}.rows"

    def index_path(self, folder: Path) -> Path:
        return folder / self.id[:2] / f"{self.id}.index"


class _Head(msgspec.Struct, array_like=True):
    """Of a block."""

    subject: str
    rows: int


class SegmentWriter:
    """Writes one segment; nothing can be seen of it before `close` has ended."""

    def __init__(self, folder: Path, vault: Vault, owner: str) -> None:
        """
        Args:
            owner: the subject of rows that are about nobody.
        """
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder
        self._vault = vault
        self._owner = owner
        self._part = folder / f"{os.getpid()}-{id(self):x}.part"
        self._file = self._part.open("wb", buffering=1 << 20)
        self._part.chmod(0o600)
        self._file.write(_MAGIC)
        self._index = bytearray()
        self._subject = ""
        self._block: list[bytes] = []
        self._block_bytes = 0
        self._said = hashlib.sha256()
        self.rows = 0

    def add(self, example: Example, row_id: bytes) -> None:
        """
        Args:
            row_id: 16 bytes of `Example.id`.
        """
        subject = example.provenance.subject or self._owner
        full = len(self._block) == _BLOCK_ROWS or self._block_bytes > _BLOCK_BYTES
        if self._block and (full or subject != self._subject):
            self._flush()
        self._subject = subject
        line = msgspec.json.encode(example)
        self._block.append(line)
        self._block_bytes += len(line)
        self._said.update(line)
        self._index += INDEX_ROW.pack(row_id, example.group)
        self.rows += 1

    def close(self) -> Segment:
        """Make the segment visible, on the disk for good."""
        if self._block:
            self._flush()
        self._file.flush()
        os.fsync(self._file.fileno())
        size = self._file.tell()
        self._file.close()
        ids = hashlib.sha256()
        for at in range(0, len(self._index), INDEX_ROW.size):
            ids.update(self._index[at : at + 16])
        # Metadata is in no id: rows that were anonymised must not be taken for those before.
        ids.update(self._said.digest())
        segment = Segment(id=ids.hexdigest(), rows=self.rows, bytes=size)
        path = segment.path(self._folder)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        if path.exists() and segment.index_path(self._folder).exists():
            self._part.unlink()  # the same rows are there already
            return segment
        index = self._part.with_suffix(".index")
        with index.open("wb") as file:
            file.write(self._index)
            file.flush()
            os.fsync(file.fileno())
        index.replace(segment.index_path(self._folder))
        self._part.replace(path)
        _sync_folder(path.parent)
        return segment

    def abandon(self) -> None:
        """Leave nothing behind."""
        self._file.close()
        self._part.unlink(missing_ok=True)

    def _flush(self) -> None:
        self._vault.unlock_now(self._subject)
        data = zlib.compress(b"\n".join(self._block), 3)
        sealed = self._vault.seal_bytes(self._subject, data)
        head = msgspec.msgpack.encode(
            _Head(self._vault.subject_id(self._subject), len(self._block))
        )
        self._file.write(_LENGTH.pack(len(head)))
        self._file.write(head)
        self._file.write(_LENGTH.pack(len(sealed)))
        self._file.write(sealed)
        self._block.clear()
        self._block_bytes = 0


def read_segment(segment: Segment, folder: Path, vault: Vault) -> Iterator[Example | None]:
    """The rows in order; None for each whose subject's key was destroyed.

    Raises:
        DatasetUnreadable: the file is gone, cut off or was changed.
    """
    path = segment.path(folder)
    decode = msgspec.json.Decoder(Example).decode
    try:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise DatasetUnreadable(f"{path} is no segment", hint=_RESTORE)
            while length := file.read(_LENGTH.size):
                head = msgspec.msgpack.decode(file.read(_LENGTH.unpack(length)[0]), type=_Head)
                sealed = file.read(_LENGTH.unpack(file.read(_LENGTH.size))[0])
                data = vault.unseal_bytes_if_kept(head.subject, sealed)
                if data is None:
                    yield from (None for _ in range(head.rows))
                    continue
                for line in zlib.decompress(data).split(b"\n"):
                    yield decode(line)
    except FileNotFoundError as error:
        raise DatasetUnreadable(f"{path} is gone", hint=_RESTORE) from error
    except (struct.error, msgspec.DecodeError, zlib.error, SealBroken) as error:
        raise DatasetUnreadable(f"{path} was changed or cut off: {error}", hint=_RESTORE) from error


def count_of_subject(segment: Segment, folder: Path, subject: str) -> int:
    """Rows about a person, from the heads of the blocks alone: nothing is unsealed.

    Raises:
        DatasetUnreadable: as `read_segment`.
    """
    path = segment.path(folder)
    count = 0
    try:
        with path.open("rb") as file:
            file.seek(len(_MAGIC))
            while length := file.read(_LENGTH.size):
                head = msgspec.msgpack.decode(file.read(_LENGTH.unpack(length)[0]), type=_Head)
                count += head.rows if head.subject == subject else 0
                file.seek(_LENGTH.unpack(file.read(_LENGTH.size))[0], os.SEEK_CUR)
    except FileNotFoundError as error:
        raise DatasetUnreadable(f"{path} is gone", hint=_RESTORE) from error
    except (struct.error, msgspec.DecodeError) as error:
        raise DatasetUnreadable(f"{path} was changed or cut off: {error}", hint=_RESTORE) from error
    return count


_RESTORE = "restore it from your backup, or make the dataset anew"


def read_index(segment: Segment, folder: Path) -> "NDArray[np.void]":
    """The index as an array with the fields `id` and `rest` (the two halves) and `group`.

    Raises:
        DatasetUnreadable: it is gone, or not as long as the segment has rows.
    """
    import numpy as np

    path = segment.index_path(folder)
    try:
        index = np.fromfile(path, dtype=[("id", ">u8"), ("rest", ">u8"), ("group", ">u8")])
    except FileNotFoundError as error:
        raise DatasetUnreadable(f"{path} is gone", hint=_RESTORE) from error
    if len(index) != segment.rows:
        raise DatasetUnreadable(f"{path} was changed or cut off", hint=_RESTORE)
    return index


def _sync_folder(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
