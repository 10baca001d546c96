"""A head that is compared instead of parsed says the same as one that is parsed."""

from collections.abc import Callable
from typing import TypeAlias

from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import HeadraceError
from headrace.server.http1.limits import Limits
from headrace.server.http1.request import HeadReader, Request, read_head

LIMITS = Limits()
LINES = st.sampled_from(
    [
        b"Content-Length: 5", b"Content-Length: 12", b"Content-Length: 007", b"content-length: 5",
        b"content-length: 6", b"CONTENT-LENGTH: 5", b"Content-Length:5", b"Content-Length:  5",
        b"Content-Length: 5 ", b"Content-Length: x", b"Transfer-Encoding: chunked", b"X: 1", b"X: 2",
        b"Connection: close", b"X: Content-Length: 7", b"Expect: 100-continue",
        b"Content-Length: 99999999999999999999",
    ]
)  # fmt: skip
HEADS = st.lists(LINES, max_size=4).map(
    lambda lines: b"".join(
        [b"POST /a HTTP/1.1\r\nHost: a\r\n", *(line + b"\r\n" for line in lines), b"\r\n"]
    )
)


def said(request: Request, length: int) -> tuple[object, ...]:
    return (
        request.method, request.path, request.keeps_alive, request.is_chunked,
        request.expects_continue, length,
    )  # fmt: skip


Read: TypeAlias = Callable[[bytes, Limits], tuple[Request, int]]


def outcome(read: Read, head: bytes) -> object:
    try:
        request, length = read(head, LIMITS)
    except HeadraceError as error:
        return type(error)
    return said(request, length)


def parsed(head: bytes, limits: Limits) -> tuple[Request, int]:
    request = read_head(head, limits)
    return request, request.length


@given(st.lists(HEADS, max_size=6))
def test_a_connections_history_changes_nothing(heads: list[bytes]) -> None:
    reader = HeadReader()
    for head in heads:
        assert outcome(reader.read, head) == outcome(parsed, head), head
