"""Requests and their replies, against servers that say exactly what each test wants."""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from pathlib import Path

import pytest
import uvloop
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.errors import ModelUnavailable
from headrace.models.http import Address, HttpClient
from headrace.models.http.reply import PAUSE_ABOVE_BYTES
from tests.models.http.scripted import CHUNKED, OK, always, asked, get, serving


async def test_connections_are_kept_and_used_again() -> None:
    async with serving(always(OK)) as (client, made):
        assert [await get(client) for _ in range(5)] == [(200, b"ok")] * 5
        assert len(made) == 1


async def test_a_kept_connection_that_the_server_has_closed_is_replaced() -> None:
    async with serving(always(OK, then_close=True)) as (client, made):
        assert [await get(client) for _ in range(5)] == [(200, b"ok")] * 5
        assert len(made) == 5


async def test_a_request_is_sent_again_only_where_no_byte_had_come() -> None:
    requests = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        await asked(reader)
        writer.write(OK)
        await asked(reader)
        requests += 1
        writer.write(b"HTTP/1.1 2")

    async with serving(script) as (client, _):
        await get(client)
        with pytest.raises(ModelUnavailable, match="did not answer: the connection broke off"):
            await get(client)
        assert requests == 1


async def test_a_fresh_connection_that_breaks_off_is_not_tried_twice() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)

    async with serving(script) as (client, made):
        with pytest.raises(ModelUnavailable, match="did not answer"):
            await get(client)
        assert len(made) == 1


async def test_a_request_may_ask_the_server_to_close() -> None:
    heads: list[bytes] = []

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await asked(reader))
        writer.write(OK)
        await reader.read()

    async with serving(script) as (client, made):
        await get(client, keep_alive=False)
        await get(client, keep_alive=False)
        assert len(made) == 2
        assert all(b"connection: close\r\n" in head for head in heads)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(cuts=st.lists(st.integers(1, len(CHUNKED) - 1), max_size=5))
async def test_a_reply_does_not_depend_on_where_packets_split(cuts: list[int]) -> None:
    edges = [0, *sorted(set(cuts)), len(CHUNKED)]

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        for begin, end in itertools.pairwise(edges):
            writer.write(CHUNKED[begin:end])
            await writer.drain()
            await asyncio.sleep(0)

    async with serving(script) as (client, _):
        assert await get(client) == (200, "hello 水!!".encode())


async def test_a_body_may_end_with_the_connection() -> None:
    reply = b"HTTP/1.1 200 OK\r\n\r\nall there is"
    async with serving(always(reply, then_close=True)) as (client, _):
        assert await get(client) == (200, b"all there is")


async def test_interim_replies_are_passed_over() -> None:
    reply = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\nx: y\r\n\r\n" + OK
    async with serving(always(reply)) as (client, _), client.request("GET", "/x") as got:
        assert (got.status, await got.read()) == (200, b"ok")
        assert "x" not in got.headers


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["length", "chunked", "no chunk"],
)
async def test_a_body_that_breaks_off_is_never_taken_for_whole(reply: bytes) -> None:
    async with serving(always(reply, then_close=True)) as (client, _):
        with pytest.raises(ModelUnavailable):
            await get(client)


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (b"SSH-2.0-OpenSSH_9.2\r\n", "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"a" * 70_000 + b"\r\n\r\n", "larger than 64 KiB"),
        (b"HTTP/1.1 200 OK\r\nx: " + b"a" * 1_000_000, "larger than 64 KiB"),
    ],
    ids=["another protocol", "huge headers", "an endless header"],
)
async def test_what_is_no_sound_reply_is_refused(reply: bytes, words: str) -> None:
    async with serving(always(reply)) as (client, _):
        with pytest.raises(ModelUnavailable, match=words):
            await get(client)


async def test_bytes_that_nobody_asked_for_never_become_a_reply() -> None:
    smuggled = OK + b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad"
    async with serving(always(smuggled)) as (client, made):
        assert [await get(client) for _ in range(3)] == [(200, b"ok")] * 3
        assert len(made) == 3


async def test_nobody_listening_is_said_with_the_address(tmp_path: Path) -> None:
    client = HttpClient(Address(socket=str(tmp_path / "model.sock")))
    with pytest.raises(ModelUnavailable, match=r"no model server answers at unix:.*model\.sock"):
        await get(client)


async def test_leaving_in_mid_stream_closes_the_connection() -> None:
    closed = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(CHUNKED[:60])
        await reader.read()
        closed.set()

    async with serving(script) as (client, _):
        async with client.request("GET", "/x") as reply, aclosing(reply.chunks()) as chunks:
            assert await anext(chunks) == b"hello"
        await asyncio.wait_for(closed.wait(), 10)


async def test_cancelling_while_no_reply_has_come_closes_the_connection() -> None:
    arrived, closed = asyncio.Event(), asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        arrived.set()
        await reader.read()
        closed.set()

    async with serving(script) as (client, _):
        waiting = asyncio.create_task(get(client))
        await arrived.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        await asyncio.wait_for(closed.wait(), 10)


async def test_a_reader_that_is_slow_makes_the_server_wait() -> None:
    size = 32 * PAUSE_ABOVE_BYTES
    written = asyncio.Event()

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        for _ in range(size // 65536):
            writer.write(bytes(65536))
            await writer.drain()
        written.set()

    async with serving(script) as (client, _):
        async with client.request("GET", "/x") as reply, aclosing(reply.chunks()) as chunks:
            first = len(await anext(chunks))
            with pytest.raises(TimeoutError):
                # The server cannot have got rid of 32 MiB while nobody reads.
                await asyncio.wait_for(written.wait(), 0.2)
            assert first + sum([len(chunk) async for chunk in chunks]) == size
        assert written.is_set()


async def test_a_body_without_end_is_refused_when_read_whole() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not writer.is_closing():
            writer.write(bytes(1 << 20))
            await writer.drain()

    async with serving(script) as (client, _):
        with pytest.raises(ModelUnavailable, match="larger than 64 MiB"):
            await get(client)


@pytest.mark.parametrize(
    "test",
    [
        test_connections_are_kept_and_used_again,
        test_a_kept_connection_that_the_server_has_closed_is_replaced,
        test_a_fresh_connection_that_breaks_off_is_not_tried_twice,
        test_a_body_may_end_with_the_connection,
        test_leaving_in_mid_stream_closes_the_connection,
        test_cancelling_while_no_reply_has_come_closes_the_connection,
        test_a_reader_that_is_slow_makes_the_server_wait,
    ],
    ids=lambda test: test.__name__.removeprefix("test_"),
)
def test_uvloop_makes_no_difference(test: Callable[[], Coroutine[object, object, None]]) -> None:
    """Its transports are not asyncio's, and services run on it."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test())
