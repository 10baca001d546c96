"""Compressed bodies, although none were asked for."""

import asyncio
import gzip
import itertools
import zlib
from contextlib import aclosing

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ModelUnavailable
from headrace.models.http.decoding import decoder_of
from tests.models.http.scripted import always, asked, get, serving

TEXT = b'data: {"choices":[{"delta":{"content":"hello"}}]}\n\n' * 20


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


PACKED = {
    "gzip": gzip.compress(TEXT),
    "X-GZIP": gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:]),
    "deflate": zlib.compress(TEXT),
    "Deflate ": raw_deflate(TEXT),
    "deflate, gzip": gzip.compress(zlib.compress(TEXT)),
    "identity": TEXT,
}


@pytest.mark.parametrize("coding", PACKED)
@given(cuts=st.lists(st.integers(0, 60), max_size=8))
def test_a_body_is_decoded_wherever_it_is_cut(coding: str, cuts: list[int]) -> None:
    packed = PACKED[coding]
    decoder = decoder_of(coding)
    edges = [0, *sorted(cuts), len(packed)]
    pieces = [packed[a:b] for a, b in itertools.pairwise(edges)]
    if decoder is None:
        assert coding == "identity"
        return
    assert b"".join(decoder.decode(piece) for piece in pieces if piece) == TEXT
    assert decoder.is_complete


def reply(packed: bytes, coding: str) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {coding}\r\ncontent-length: {len(packed)}\r\n\r\n"
    return head.encode() + packed


@pytest.mark.parametrize("coding", PACKED)
async def test_a_reply_is_read_as_if_it_were_plain(coding: str) -> None:
    async with serving(always(reply(PACKED[coding], coding))) as (client, made):
        assert [await get(client) for _ in range(2)] == [(200, TEXT)] * 2
        assert len(made) == 1


async def test_identity_is_asked_for() -> None:
    heads: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await asked(reader))
        writer.write(reply(PACKED["gzip"], "gzip"))

    async with serving(script) as (client, _), client.request("GET", "/x") as got:
        assert b"\r\naccept-encoding: identity\r\n" in heads[0]
        assert "content-encoding" not in got.headers


async def test_events_of_a_compressed_stream_come_one_by_one() -> None:
    go_on = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        packer = zlib.compressobj(wbits=31)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n")
        for event in (b"data: one\n\n", b"data: two\n\n"):
            writer.write(packer.compress(event) + packer.flush(zlib.Z_SYNC_FLUSH))
            await go_on.wait()
        writer.write(packer.flush())

    async with (
        serving(script) as (client, _),
        client.request("GET", "/x") as got,
        aclosing(got.chunks()) as chunks,
    ):
        assert await anext(chunks) == b"data: one\n\n"
        go_on.set()
        assert [chunk async for chunk in chunks] == [b"data: two\n\n"]


@pytest.mark.parametrize(
    ("packed", "coding", "words"),
    [
        (PACKED["gzip"][:-9], "gzip", "cut off"),
        (b"not compressed", "gzip", "damaged"),
        (PACKED["deflate"][:40], "deflate", "cut off"),
        (b"\x78", "deflate", "cut off"),
        (b"whatever", "br", "compressed by 'br', which was not asked for"),
        (gzip.compress(bytes(64 << 20)), "gzip", "unpacks to more than 16 MiB"),
    ],
    ids=["cut", "damaged", "cut deflate", "one byte", "unknown", "bomb"],
)
async def test_what_cannot_be_decoded_is_said(packed: bytes, coding: str, words: str) -> None:
    async with serving(always(reply(packed, coding))) as (client, _):
        with pytest.raises(ModelUnavailable, match=words):
            await get(client)


async def test_an_empty_body_need_not_be_compressed() -> None:
    async with serving(always(reply(b"", "gzip"))) as (client, _):
        assert await get(client) == (200, b"")
