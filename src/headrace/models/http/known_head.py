"""Heads of responses that have been read before: a server writes the same one again and again.

What changes between two answers of one server are their length and the time of day. So a head is
looked up without the two, and one that was understood before is not taken apart again: 1.2 us
instead of 5. Only heads of which nothing is in doubt are kept: status 200, HTTP/1.1, one length or
`chunked`, no coding of the content, and nothing about the connection but that it stays.

Not covered: servers that give each answer a number of its own. Their heads are parsed each time.
"""

from collections.abc import Sequence

from headrace.models.http.head import Head

__all__ = ["KnownHead", "KnownHeads"]

MOST_KEPT = 16
LONGEST_KEPT = 4096
_LINE_ENDS = (b"\r\ncontent-length: ", b"\r\nContent-Length: ")
_DATES = (b"\r\ndate: ", b"\r\nDate: ")
_DATE_BYTES = len("Tue, 15 Nov 1994 08:12:31 GMT")
_MOST_DIGITS = 12


class KnownHead:
    """A head that was understood, and what it says of the body."""

    __slots__ = ("head", "is_chunked")

    def __init__(self, head: Head, *, is_chunked: bool) -> None:
        self.head = head
        """Shared by all responses that begin so; nobody changes it."""
        self.is_chunked = is_chunked


class KnownHeads:
    """Those of one server."""

    __slots__ = ("_by_text",)

    def __init__(self) -> None:
        self._by_text: dict[bytes, KnownHead] = {}

    def find(self, data: bytes) -> tuple[KnownHead, int, int] | None:
        """The head that a response begins with, where its body begins, and how long that is.

        The length is 0 where it is chunked. None: it has to be parsed.
        """
        end = data.find(b"\r\n\r\n")
        if end < 0:
            return None
        text, length = _without_what_changes(data, end)
        known = self._by_text.get(text)
        if known is None or (length < 0) is not known.is_chunked:
            return None
        return known, end + 4, max(length, 0)

    def learn(self, data: bytes, head: Head) -> None:
        """Keep a head that was parsed just now, if `data` begin with it (and no interim one)."""
        end = data.find(b"\r\n\r\n", 0, LONGEST_KEPT)
        if end < 0 or not data.startswith(b"HTTP/1.1 200 "):
            return
        is_chunked = _is_plain(head.raw)
        if is_chunked is None:
            return
        text, length = _without_what_changes(data, end)
        if (length < 0) is not is_chunked:
            return
        if len(self._by_text) >= MOST_KEPT:
            self._by_text.clear()
        self._by_text[text] = KnownHead(head, is_chunked=is_chunked)


def _without_what_changes(data: bytes, end: int) -> tuple[bytes, int]:
    """The head up to `end` without its length and date, and the length; -1 where it says none."""
    length = -1
    text = data[:end]
    for name in _LINE_ENDS:
        begin = data.find(name, 0, end)
        if begin >= 0:
            begin += len(name)
            stop = data.find(b"\r\n", begin)
            digits = data[begin:stop]
            if digits.isdigit() and len(digits) <= _MOST_DIGITS:
                length = int(digits)
                text = data[:begin] + data[stop:end]
            break
    for name in _DATES:
        begin = text.find(name)
        if begin >= 0:
            begin += len(name)
            stop = begin + _DATE_BYTES
            if text.find(b"\r", begin, stop) < 0 and text[stop - 4 : stop] == b" GMT":
                text = text[:begin] + text[stop:]
            break
    return text, length


def _is_plain(headers: Sequence[tuple[bytes, bytes]]) -> bool | None:
    """Whether the body is chunked; None where anything else is said about it or the connection."""
    lengths = codings = 0
    for name, value in headers:
        name = name.lower()
        if name == b"content-length":
            lengths += 1
        elif name == b"transfer-encoding":
            if value != b"chunked":
                return None
            codings += 1
        elif name in (b"content-encoding", b"upgrade", b"trailer") or (
            name == b"connection" and value.lower() != b"keep-alive"
        ):
            return None
    return bool(codings) if lengths + codings == 1 else None
