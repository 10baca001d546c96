"""Bytes that a client has sent and that are not a request yet, or not its turn."""

import re

from headrace.server.http1.limits import READ_AHEAD_BYTES, Limits
from headrace.server.http1.request import check_beginning

__all__ = ["Unread", "skip_empty_lines"]

_EMPTY_LINES = re.compile(rb"(?:\r\n)+")


class Unread:
    """The beginning of a head, or requests that wait for the one being answered."""

    __slots__ = ("_bytes", "_next_check")

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._next_check = 0

    def __bool__(self) -> bool:
        return bool(self._bytes)

    @property
    def is_full(self) -> bool:
        """Whether the client should wait before it sends more."""
        return len(self._bytes) > READ_AHEAD_BYTES

    def add(self, data: bytes) -> None:
        self._bytes += data

    def take(self) -> bytes:
        """All of it."""
        data = bytes(self._bytes)
        self._bytes.clear()
        self._next_check = 0
        return data

    def is_readable(self, new: int) -> bool:
        """Whether the last `new` bytes have completed a head, or an empty line before one."""
        found = self._bytes.find(b"\r\n\r\n", max(0, len(self._bytes) - new - 3))
        return found >= 0 or self._bytes.startswith(b"\r\n")

    def check(self, limits: Limits) -> None:
        """Raises, as `check_beginning`, when this cannot become a head any more.

        Looks only when twice as much has come as the last time: looking again at each byte would
        cost the square of the head's length.
        """
        size = len(self._bytes)
        if size >= self._next_check:
            self._next_check = min(2 * size, limits.header_bytes + 1)
            check_beginning(bytes(self._bytes), limits)


def skip_empty_lines(data: bytes) -> bytes:
    """What follows the empty lines that some old clients send after a body."""
    if data.startswith(b"\r\n") and (found := _EMPTY_LINES.match(data)):
        return data[found.end() :]
    return data
