"""Results as they come: appended, each in one piece, so that any kill loses at most what was not
yet said to be done.

A record is a head (row, length, CRC-32 of what follows) and the sealed line. What a kill cut off
at the end is dropped when the log is opened again; its row is then asked again.
"""

import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from headrace.privacy.vault import Vault

__all__ = ["ResultLog"]

_HEAD = struct.Struct(">IBII")
"""Row, whether it succeeded, length, CRC-32."""


class ResultLog:
    """The results of one batch, by row."""

    def __init__(self, path: Path, vault: Vault, subject: str) -> None:
        """Open or begin the log.

        Args:
            subject: whose key seals the results.
        """
        vault.unlock_now(subject)
        self._vault, self._subject = vault, subject
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = path
        self._file = path.open("a+b")
        path.chmod(0o600)
        self._places: dict[int, tuple[int, int]] = {}
        self.completed = self.failed = 0
        self._end = self._recovered()

    def __contains__(self, row: int) -> bool:
        return row in self._places

    def __len__(self) -> int:
        return len(self._places)

    def append(self, row: int, line: bytes, *, ok: bool) -> None:
        """Keep a row's result; the first one counts. It is safe once `sync` has ended."""
        if row in self._places:
            return
        sealed = self._vault.seal_bytes(self._subject, line)
        self._file.write(_HEAD.pack(row, ok, len(sealed), zlib.crc32(sealed)) + sealed)
        self._took(row, self._end + _HEAD.size, len(sealed), ok=ok)
        self._end += _HEAD.size + len(sealed)

    def sync(self) -> None:
        """Put what was appended on the disk for good."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def lines(self) -> Iterator[tuple[bytes, bool]]:
        """Every result in the order of the rows, and whether it succeeded."""
        self._file.flush()
        with self._path.open("rb") as file:
            for row in sorted(self._places):
                at, length = self._places[row]
                file.seek(at - _HEAD.size)
                ok = bool(_HEAD.unpack(file.read(_HEAD.size))[1])
                line = self._vault.unseal_bytes_if_kept(self._subject, file.read(length))
                if line is not None:
                    yield line, ok

    def close(self) -> None:
        self._file.close()

    def remove(self) -> None:
        """The results are elsewhere now."""
        self._file.close()
        self._path.unlink(missing_ok=True)
        self._vault.destroy(self._subject)

    def _took(self, row: int, at: int, length: int, *, ok: bool) -> None:
        self._places[row] = (at, length)
        if ok:
            self.completed += 1
        else:
            self.failed += 1

    def _recovered(self) -> int:
        """Read what is there; gives where it ends, and cuts off what is only half there."""
        at = 0
        with self._path.open("rb") as file:
            while len(head := file.read(_HEAD.size)) == _HEAD.size:
                row, ok, length, crc = _HEAD.unpack(head)
                sealed = file.read(length)
                if len(sealed) < length or zlib.crc32(sealed) != crc:
                    break
                if row not in self._places:
                    self._took(row, at + _HEAD.size, length, ok=bool(ok))
                at += _HEAD.size + length
        self._file.truncate(at)
        return at
