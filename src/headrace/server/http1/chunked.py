"""A chunked body, read as it arrives.

Strict where leniency has let requests be smuggled: sizes are hexadecimal digits and nothing else,
lines end in CR LF, chunk extensions are short and ignored, trailers are read and thrown away.
Source: RFC 9112, 7.1.
"""

import re

from headrace.server.http1.errors import MalformedRequest

__all__ = ["ChunkReader"]

_MOST_LINE_BYTES = 256
"""For a size with its extensions. Real clients send none; long ones have been used to exhaust."""
_MOST_TRAILER_BYTES = 8 * 1024
_TOKEN = rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_EXTENSION = rb";%b(?:=(?:%b|\"[ !#-\[\]-~]*\"))?" % (_TOKEN, _TOKEN)
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})(?:%b)*" % _EXTENSION)
_TRAILER = re.compile(rb"(%b):[\t\x20-\x7e\x80-\xff]*" % _TOKEN)
_FORBIDDEN_TRAILERS = (b"content-length", b"transfer-encoding", b"host")


class ChunkReader:
    """Give it packets; it gives the body's bytes, and says when the body is complete."""

    __slots__ = ("_left", "_line", "_state", "_trailer_bytes", "overhead")

    def __init__(self) -> None:
        self._state = "size"
        self._left = 0
        self._line = b""
        self._trailer_bytes = 0
        self.overhead = 0
        """Bytes that were framing so far."""

    @property
    def is_complete(self) -> bool:
        return self._state == "complete"

    def feed(self, packet: bytes, into: bytearray) -> bytes:
        """Add the body's bytes to `into`; gives what follows the body, once that is complete.

        Raises:
            MalformedRequest: the framing is wrong.
        """
        at = 0
        while at < len(packet) and self._state != "complete":
            if self._state == "data":
                taken = min(self._left, len(packet) - at)
                into += packet[at : at + taken]
                at += taken
                self._left -= taken
                if not self._left:
                    self._state = "data end"
                continue
            end = packet.find(b"\n", at)
            piece = packet[at:] if end < 0 else packet[at : end + 1]
            at += len(piece)
            self.overhead += len(piece)
            self._line += piece
            if end >= 0:
                line, self._line = self._line, b""
                self._take(line)
            elif len(self._line) > _MOST_LINE_BYTES and self._state != "trailer":
                raise _malformed("a chunk's size line is too long")
            elif len(self._line) > _MOST_TRAILER_BYTES:
                raise _malformed("the trailers are too long")
        return packet[at:]

    def _take(self, line: bytes) -> None:
        """A line with its end."""
        if not line.endswith(b"\r\n"):
            raise _malformed("a line does not end in CR LF")
        line = line[:-2]
        if self._state == "data end":
            if line:
                raise _malformed("a chunk is longer than its size")
            self._state = "size"
        elif self._state == "size":
            if len(line) > _MOST_LINE_BYTES or not (found := _SIZE.fullmatch(line)):
                raise _malformed("a chunk's size is not a hexadecimal number")
            self._left = int(found[1], 16)
            self._state = "data" if self._left else "trailer"
        elif line:
            self._trailer_bytes += len(line)
            found = _TRAILER.fullmatch(line)
            if not found or found[1].lower() in _FORBIDDEN_TRAILERS:
                raise _malformed("a trailer is not allowed")
            if self._trailer_bytes > _MOST_TRAILER_BYTES:
                raise _malformed("the trailers are too long")
        else:
            self._state = "complete"


def _malformed(why: str) -> MalformedRequest:
    return MalformedRequest(f"the chunked body is malformed: {why}")
