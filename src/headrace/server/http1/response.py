"""How an answer's head is written."""

from collections.abc import Sequence
from email.utils import formatdate
from http import HTTPStatus
from typing import TypeAlias

__all__ = [
    "HeaderList",
    "date_header",
    "has_no_body",
    "last_response",
    "response_head",
    "status_line",
]

HeaderList: TypeAlias = Sequence[tuple[bytes, bytes]]

_STATUS_LINES = {
    status.value: b"HTTP/1.1 %d %b\r\n" % (status.value, status.phrase.encode())
    for status in HTTPStatus
}


def response_head(status: int, headers: HeaderList, ending: bytes) -> bytes:
    """Status line and headers, then `ending`: what the server itself adds, and the empty line.

    Raises:
        ValueError: a header with a line end in it would be two.
    """
    fields = b"".join([b"%b: %b\r\n" % header for header in headers])
    if fields.count(b"\n") != len(headers) or fields.count(b"\r") != len(headers):
        raise ValueError("a header of the answer holds a line end")
    return status_line(status) + fields + ending


def status_line(status: int) -> bytes:
    """The first line, with its end."""
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d \r\n" % status


def last_response(status: int, body: bytes, date: bytes) -> bytes:
    """A whole answer in JSON, after which the connection is closed."""
    ending = b"%bcontent-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n\r\n"
    return response_head(status, (), ending % (date, len(body))) + body


def has_no_body(status: int) -> bool:
    """Whether answers with this status never have a body (nor say a length)."""
    return status in (204, 304)


def date_header(now: float) -> bytes:
    """`date: …`, from seconds since the epoch."""
    return b"date: %b\r\n" % formatdate(now, usegmt=True).encode()
