"""AWS's binary framing: read as botocore reads it, however it is cut, and never when damaged."""

import itertools
import struct
from zlib import crc32

import pytest
from botocore.eventstream import EventStreamBuffer  # type: ignore[import-untyped]  # no types
from hypothesis import given
from hypothesis import strategies as st

from headrace.models.bedrock.eventstream import Event, EventStreamReader
from tests.upstreams.bedrock import message

TEXT = st.text(max_size=12)
STREAMS = st.lists(
    st.tuples(
        st.dictionaries(st.text("abc:-", min_size=1), TEXT, max_size=3), st.binary(max_size=40)
    ),
    max_size=4,
)


def read(packets: list[bytes]) -> list[Event]:
    reader = EventStreamReader()
    events = [event for packet in packets for event in reader.feed(packet)]
    assert reader.is_between
    return events


def framed(packed_headers: bytes, payload: bytes = b"") -> bytes:
    """A message with headers packed by hand."""
    prelude = struct.pack("!II", len(packed_headers) + len(payload) + 16, len(packed_headers))
    prelude += struct.pack("!I", crc32(prelude))
    whole = prelude + packed_headers + payload
    return whole + struct.pack("!I", crc32(whole))


def header(name: bytes, kind: int, value: bytes) -> bytes:
    return bytes([len(name)]) + name + bytes([kind]) + value


@given(stream=STREAMS, cuts=st.lists(st.integers(0, 300), max_size=8))
def test_messages_do_not_depend_on_where_packets_split(
    stream: list[tuple[dict[str, str], bytes]], cuts: list[int]
) -> None:
    data = b"".join(message(headers, payload) for headers, payload in stream)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    packets = [data[a:b] for a, b in itertools.pairwise(edges)]
    assert [(event.headers, event.payload) for event in read(packets)] == stream


@given(stream=STREAMS)
def test_botocore_reads_the_same(stream: list[tuple[dict[str, str], bytes]]) -> None:
    data = b"".join(message(headers, payload) for headers, payload in stream)
    theirs = EventStreamBuffer()
    theirs.add_data(data)
    assert [(each.headers, each.payload) for each in theirs] == [
        (event.headers, event.payload) for event in read([data])
    ]


KINDS = (
    header(b"yes", 0, b"")
    + header(b"no", 1, b"")
    + header(b"byte", 2, b"\xfe")
    + header(b"short", 3, b"\xff\xfe")
    + header(b"int", 4, b"\x00\x01\x00\x00")
    + header(b"long", 5, b"\x00\x00\x00\x01\x00\x00\x00\x00")
    + header(b"bytes", 6, b"\x00\x02\x01\x02")
    + header(b"text", 7, b"\x00\x02\xc3\xa4")
    + header(b"time", 8, b"\x00\x00\x01\x99\x00\x00\x00\x00")
    + header(b"uuid", 9, bytes(range(16)))
)


def test_headers_of_every_type_are_read_as_botocore_reads_them() -> None:
    theirs = EventStreamBuffer()
    theirs.add_data(framed(KINDS, b"payload"))
    (expected,) = theirs
    (event,) = read([framed(KINDS, b"payload")])
    assert event.headers == expected.headers
    assert event.payload == b"payload"
    assert (event.headers["yes"], event.headers["no"], event.text("text")) == (True, False, "ä")
    assert event.text("int") == event.text("missing") == ""


ONE = message({":event-type": "contentBlockDelta"}, b'{"delta":{"text":"Hello"}}')


@given(at=st.integers(0, len(ONE) - 1), flip=st.integers(1, 255), cut=st.integers(0, len(ONE)))
def test_a_damaged_byte_never_becomes_an_event(at: int, flip: int, cut: int) -> None:
    damaged = bytearray(ONE)
    damaged[at] ^= flip
    reader = EventStreamReader()
    with pytest.raises(ValueError, match="wrong"):
        for packet in (bytes(damaged[:cut]), bytes(damaged[cut:])):
            assert list(reader.feed(packet)) == []


@pytest.mark.parametrize(
    "packed",
    [
        header(b"x", 10, b""),
        header(b"x", 7, b"\x00\xff"),
        header(b"x", 7, b"\x00\x01\xff"),
        header(b"x", 9, b"\x00"),
        header(b"x", 5, b"\x00"),
        b"\x05x",
        b"\x01x",
        b"\x01\xff\x00",
    ],
)
def test_headers_that_are_not_whole_are_unreadable(packed: bytes) -> None:
    with pytest.raises(ValueError, match="header"):
        list(EventStreamReader().feed(framed(packed)))


@pytest.mark.parametrize(
    ("total", "headers"), [(0, 0), (15, 0), (16, 1), (1 << 20, (128 << 10) + 1), (25 << 20, 0)]
)
def test_lengths_that_cannot_be_are_refused_before_the_rest_has_come(
    total: int, headers: int
) -> None:
    prelude = struct.pack("!II", total, headers)
    with pytest.raises(ValueError, match="length"):
        list(EventStreamReader().feed(prelude + struct.pack("!I", crc32(prelude))))


def test_a_message_that_was_begun_shows() -> None:
    reader = EventStreamReader()
    between = [reader.is_between]
    for packet, events in ((ONE[:-1], 0), (ONE[-1:], 1)):
        assert len(list(reader.feed(packet))) == events
        between.append(reader.is_between)
    assert between == [True, False, True]
