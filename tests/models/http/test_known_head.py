"""Heads that are known: found again whatever their length and date, and only where nothing is in doubt."""

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.models.http import Head
from headrace.models.http.exchange import Spans
from headrace.models.http.framing import chunks_in, size_of
from headrace.models.http.known_head import KnownHeads
from tests.models.http.scripted import asked, serving
from tests.models.http.test_exchange import Notes, send

PLAIN = (
    b"HTTP/1.1 200 OK\r\nDate: Tue, 15 Nov 1994 08:12:31 GMT\r\nserver: uvicorn\r\n"
    b"content-length: 2\r\ncontent-type: application/json\r\n\r\n{}"
)
LATER = PLAIN.replace(b"08:12:31", b"08:12:32").replace(b"length: 2", b"length: 3") + b" "
STREAM = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def headers_of(data: bytes) -> list[tuple[bytes, bytes]]:
    lines = data.partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
    return [(name, value) for name, _, value in (line.partition(b": ") for line in lines)]


def learned(data: bytes) -> KnownHeads:
    heads = KnownHeads()
    heads.learn(data, Head(200, headers_of(data)))
    return heads


def test_another_length_and_date_are_no_other_head() -> None:
    found = learned(PLAIN).find(LATER)
    assert found is not None
    known, begin, length = found
    assert not known.is_chunked
    assert LATER[begin : begin + length] == b"{} "


@pytest.mark.parametrize(
    "other",
    [
        PLAIN.replace(b"uvicorn", b"nginx"),
        PLAIN.replace(b"200 OK", b"201 OK"),
        PLAIN.replace(b"length: 2", b"length: +2"),
        PLAIN.replace(b"length: 2", b"length: 2\r\nContent-Length: 3"),
        PLAIN.replace(b"length: 2", b"length: 2\r\ntransfer-encoding: chunked"),
        PLAIN.replace(b"08:12:31 GMT", b"08:\r\n2: 1 GMT"),
        PLAIN.replace(b"content-length: 2\r\n", b""),
        PLAIN[:60],
    ],
)
def test_whatever_else_differs_is_parsed(other: bytes) -> None:
    assert learned(PLAIN).find(other) is None


@pytest.mark.parametrize(
    "line",
    [
        b"connection: close",
        b"content-encoding: gzip",
        b"transfer-encoding: chunked",
        b"content-length: 2",
        b"upgrade: h2c",
        b"trailer: x",
    ],
)
def test_heads_that_say_more_are_never_known(line: bytes) -> None:
    doubtful = PLAIN.replace(b"server: uvicorn", line)
    assert learned(doubtful).find(doubtful) is None


def test_an_interim_head_is_not_taken_for_the_real_one() -> None:
    both = b"HTTP/1.1 103 Early Hints\r\n\r\n" + PLAIN
    heads = KnownHeads()
    heads.learn(both, Head(200, headers_of(PLAIN)))
    assert heads.find(both) is None


def framed(pieces: Sequence[bytes]) -> bytes:
    return b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in pieces)


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=6), st.integers(0, 300))
def test_whole_chunks_are_found_wherever_a_packet_ends(pieces: list[bytes], cut: int) -> None:
    body = framed(pieces) + b"0\r\n\r\n"
    packet = body[:cut]
    spans, at, is_last = chunks_in(packet)
    assert [packet[begin:end] for begin, end in spans] == pieces[: len(spans)]
    assert framed(pieces[: len(spans)]) == packet[:at]
    assert is_last == (bool(packet) and packet == body)


@pytest.mark.parametrize("line", [b"", b"0", b"+5", b"5;x=y", b" 5", b"0x5", b"5_0", b"123456789"])
def test_a_size_in_doubt_is_none(line: bytes) -> None:
    assert size_of(line) == 0


@pytest.mark.parametrize(
    "rest",
    [
        [b"3\r\nabc\r\n", b"2\r\nde\r\n", b"0\r\n\r\n"],
        [b"3\r\nabc\r\n2\r\nde\r\n", b"0\r\n\r\n"],
        [b"3\r\nabc\r\n2\r\nd", b"e\r\n0\r\n\r\n"],
        [b"3;x=y\r\nabc\r\n", b"2\r\nde\r\n0\r\n", b"trailer: 1\r\n\r\n"],
        [b"3", b"\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"],
    ],
)
@pytest.mark.parametrize("takes", [True, False])
async def test_a_known_head_changes_nothing_of_a_stream(rest: list[bytes], takes: bool) -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await asked(reader)
            for packet in (STREAM, *rest):
                writer.write(packet)
                await writer.drain()
                await asyncio.sleep(0.001)

    async with serving(script) as (client, made):
        for _ in range(3):
            notes = Notes()
            taken: list[bytes] = []

            def on_chunks(
                packet: bytes, spans: Spans, notes: Notes = notes, taken: list[bytes] = taken
            ) -> bool:
                if takes:
                    taken.append(packet)
                    notes.body += b"".join([packet[begin:end] for begin, end in spans])
                return takes

            send(client, notes).on_chunks = on_chunks
            await notes.over.wait()
            assert notes.told[-1] == "ended"
            assert notes.body == b"abcde"
            assert all(b"".join(rest).find(packet) >= 0 for packet in taken)
        assert len(made) == 1
