"""Chunks of a body, where they come whole: how long they are, and where the next begins.

Not covered, and left to the parser: chunks that are cut between packets, extensions, trailers.
Source: RFC 9112, section 7.1.
"""

import re

__all__ = ["chunks_in", "size_of"]

_SIZE = re.compile(rb"[0-9A-Fa-f]{1,8}")
_LAST = b"0\r\n\r\n"
_MOST_KEPT = 4096
_sizes: dict[bytes, int] = {}
"""What a line has meant before: most chunks of a stream have one of a few hundred sizes."""


def size_of(line: bytes) -> int:
    """What a chunk's first line says, without its end; 0 also where it is not that simple."""
    size = _sizes.get(line)
    if size is None:
        if _SIZE.fullmatch(line) is None:
            return 0
        size = int(line, 16)
        if len(_sizes) < _MOST_KEPT:
            _sizes[line] = size
    return size


def chunks_in(data: bytes) -> tuple[list[tuple[int, int]], int, bool]:
    """Where in a packet that begins with whole chunks their data stand, and where its rest begins.

    The last says whether nothing but the body's end follows, and that is whole.
    """
    spans: list[tuple[int, int]] = []
    at, length = 0, len(data)
    while at < length:
        begin = data.find(b"\r\n", at, at + 20) + 2
        size = size_of(data[at : begin - 2]) if begin > 1 else 0
        end = begin + size
        if not size or data[end : end + 2] != b"\r\n":
            return spans, at, at + len(_LAST) == length and data.endswith(_LAST)
        spans.append((begin, end))
        at = end + 2
    return spans, at, False
