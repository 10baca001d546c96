"""Records that the database would never take, kept for a person to look at."""

import logging
import os
from contextlib import suppress
from pathlib import Path

import msgspec

from headrace.storage.journal import Record

__all__ = ["RejectFile", "read_rejects"]

LIMIT_BYTES = 16 * 1024 * 1024

_log = logging.getLogger(__name__)


class RejectFile:
    """A file of JSON lines `{"kind", "payload"}` (payload in base64), at most 16 MiB."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def keep(self, record: Record) -> None:
        """Add a record; when the file is full or cannot be written, say so and go on."""
        line = msgspec.json.encode({"kind": record.kind, "payload": record.payload}) + b"\n"
        try:
            file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            try:
                size = os.fstat(file).st_size
                if size + len(line) > LIMIT_BYTES:
                    _log.error("%s is full: a %s record is lost", self.path, record.kind)
                elif os.write(file, line) < len(line):
                    # The disk is full. Half a line would spoil the next one.
                    os.ftruncate(file, size)
                    _log.error("%s: a %s record is lost: the disk is full", self.path, record.kind)
            finally:
                os.close(file)
        except OSError as error:
            _log.error("%s: a %s record is lost: %s", self.path, record.kind, error.strerror)


def read_rejects(path: Path) -> list[Record]:
    """What the file holds, oldest first; empty when there is none.

    A line that a crash left unfinished is not among it.
    """
    if not path.exists():
        return []
    records = []
    for line in path.read_bytes().splitlines():
        with suppress(msgspec.DecodeError):
            records.append(msgspec.json.decode(line, type=Record))
    return records
