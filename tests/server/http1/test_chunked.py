"""Chunked bodies: the same bytes however packets are cut, and nothing that llhttp would refuse."""

import contextlib
import itertools

import httptools
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.server.http1.chunked import ChunkReader
from headrace.server.http1.errors import MalformedRequest

HEAD = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
EXTENSIONS = st.sampled_from([b"", b";a", b";a=b;c", b';a="b c"'])
TRAILERS = st.sampled_from([b"", b"X-Digest: abc\r\n", b"A: b\r\nC: d\r\n"])
NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"


@st.composite
def framed(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """A body, and the same in chunks."""
    chunks = draw(st.lists(st.binary(min_size=1, max_size=40), max_size=6))
    wire = b"".join(
        b"%b%x%b\r\n%b\r\n" % (b"0" * draw(st.integers(0, 3)), len(chunk), draw(EXTENSIONS), chunk)
        for chunk in chunks
    )
    return b"".join(chunks), wire + b"0" + draw(EXTENSIONS) + b"\r\n" + draw(TRAILERS) + b"\r\n"


def read(packets: list[bytes]) -> tuple[bytes, bool, bytes]:
    """The body, whether it is complete, and what follows it."""
    reader, body, rest = ChunkReader(), bytearray(), b""
    for packet in packets:
        rest += packet if reader.is_complete else reader.feed(packet, body)
    return bytes(body), reader.is_complete, rest


@given(framed(), st.lists(st.integers(0, 500), max_size=8))
def test_a_body_does_not_depend_on_where_packets_split(
    body_and_wire: tuple[bytes, bytes], cuts: list[int]
) -> None:
    body, wire = body_and_wire
    data = wire + NEXT
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    packets = [data[a:b] for a, b in itertools.pairwise(edges)]
    assert read(packets) == (body, True, NEXT)


class Seen:
    def __init__(self) -> None:
        self.body = b""
        self.is_complete = False

    def on_body(self, piece: bytes) -> None:
        self.body += piece

    def on_message_complete(self) -> None:
        self.is_complete = True


@settings(max_examples=500)
@given(framed(), st.integers(0, 200), st.sampled_from([*b"\r\n0;:a9Fg \t\0x+-"]), st.booleans())
def test_what_is_taken_is_what_llhttp_reads_in_it(
    body_and_wire: tuple[bytes, bytes], at: int, byte: int, replace: bool
) -> None:
    """Two readers that disagree are what smuggling lives on; so ours may refuse, but not differ."""
    _, wire = body_and_wire
    at %= len(wire)
    damaged = wire[:at] + bytes([byte]) + wire[at + replace :]
    try:
        body, is_complete, _ = read([damaged])
    except MalformedRequest:
        return
    seen = Seen()
    with contextlib.suppress(httptools.HttpParserError):  # beyond the body's end it may be anything
        httptools.HttpRequestParser(seen).feed_data(HEAD + damaged)
    if is_complete:
        assert (seen.body, seen.is_complete) == (body, True)


@given(st.binary(max_size=400))
def test_garbage_is_refused_or_waited_on(data: bytes) -> None:
    with contextlib.suppress(MalformedRequest):
        body, _, rest = read([data])
        assert len(body) + len(rest) <= len(data)
