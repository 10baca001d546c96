"""Server-sent events do not depend on how the network cuts them."""

import itertools
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.models.sse import MAX_EVENT_BYTES, EventReader

STREAM = (
    b': keep-alive\r\nevent: delta\ndata: {"text": "\xe6\xb0\xb4\xe8\xbd\xa6"}\n\n'
    b"data:no space\r\r\ndata\ndata: two\ndata:  lines\r\n\r\nid: 7\n\n\ndata: [DONE]\n\n"
    b"data: never finished"
)
EVENTS = [
    '{"text": "水车"}'.encode(),
    b"no space",
    b"\ntwo\n lines",
    b"[DONE]",
]


def read_events(packets: Iterable[bytes]) -> list[bytes]:
    reader = EventReader()
    return [event for packet in packets for event in reader.feed(packet)]


def test_lines_end_in_lf_crlf_or_cr_and_only_whole_events_count() -> None:
    assert read_events([STREAM]) == EVENTS


@given(cuts=st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_events_do_not_depend_on_where_packets_split(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(STREAM)]
    assert read_events(STREAM[a:b] for a, b in itertools.pairwise(edges)) == EVENTS


def test_byte_by_byte_is_the_same() -> None:
    assert read_events(bytes([byte]) for byte in STREAM) == EVENTS


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\r\n")), min_size=1))
def test_what_is_written_is_read(texts: list[str]) -> None:
    written = b"".join(b"data: " + text.encode() + b"\n\n" for text in texts)
    assert read_events([written]) == [text.encode() for text in texts]


@pytest.mark.parametrize("line", [b"x", b"data: x\n"], ids=["one line", "many lines"])
def test_an_endless_event_is_refused(line: bytes) -> None:
    reader = EventReader()
    packet = line * (1 << 17)
    with pytest.raises(ValueError, match="larger than 8 MiB"):
        for _ in range(MAX_EVENT_BYTES // len(packet) + 2):
            assert list(reader.feed(packet)) == []
