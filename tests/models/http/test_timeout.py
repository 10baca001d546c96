"""Servers that are too slow: to connect, to begin, to go on, to end."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from contextlib import aclosing

import pytest
import uvloop

from headrace.errors import ModelUnavailable
from headrace.models.errors import DeploymentTimeout
from headrace.models.http import Address, HttpClient
from tests.models.http.scripted import OK, Script, asked, get, listening

HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
SOON = 0.05


def silent_after(start: bytes) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(start)
        await reader.read()

    return script


async def test_a_server_that_does_not_begin_is_given_up() -> None:
    async with listening(silent_after(b"")) as server:
        client = HttpClient(server.address, response_timeout_s=SOON, idle_timeout_s=60)
        with pytest.raises(DeploymentTimeout, match=r"did not begin to answer within 0\.05 s"):
            await get(client)
        await server.until_open(0)


async def test_a_head_that_drips_is_not_progress() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(b"HTTP/1.1 200 OK\r\nx: ")
        while not writer.is_closing():
            writer.write(b"y")
            await asyncio.sleep(0.005)

    async with listening(script) as server:
        client = HttpClient(server.address, response_timeout_s=SOON)
        with pytest.raises(DeploymentTimeout, match="did not begin"):
            await get(client)


async def test_a_stream_that_goes_silent_is_given_up() -> None:
    async with listening(silent_after(HEAD + b"5\r\nhello\r\n")) as server:
        client = HttpClient(server.address, response_timeout_s=60, idle_timeout_s=SOON)
        async with client.request("GET", "/x") as reply, aclosing(reply.chunks()) as chunks:
            assert await anext(chunks) == b"hello"
            with pytest.raises(DeploymentTimeout, match=r"silent in mid-answer for 0\.05 s"):
                await anext(chunks)
        await server.until_open(0)


async def test_each_piece_begins_the_wait_anew() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(HEAD)
        for _ in range(20):
            writer.write(b"1\r\nx\r\n")
            await asyncio.sleep(0.01)
        writer.write(b"0\r\n\r\n")

    async with listening(script) as server:
        client = HttpClient(server.address, idle_timeout_s=0.1)
        assert await get(client) == (200, b"x" * 20)
        client.close()


async def test_a_reader_that_is_slow_does_not_count_as_silence() -> None:
    size = 8 << 20

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asked(reader)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
        for _ in range(size // 65536):
            writer.write(bytes(65536))
            await writer.drain()

    async with listening(script) as server:
        client = HttpClient(server.address, idle_timeout_s=SOON)
        async with client.request("GET", "/x") as reply, aclosing(reply.chunks()) as chunks:
            first = len(await anext(chunks))
            await asyncio.sleep(3 * SOON)
            assert first + sum([len(chunk) async for chunk in chunks]) == size
        client.close()


@pytest.mark.parametrize("start", [b"", HEAD + b"5\r\nhello\r\n"], ids=["head", "body"])
async def test_a_deadline_ends_it_whatever_is_going_on(start: bytes) -> None:
    async with listening(silent_after(start)) as server:
        client = HttpClient(server.address, response_timeout_s=60, idle_timeout_s=60)
        deadline = asyncio.get_running_loop().time() + SOON
        with pytest.raises(DeploymentTimeout, match="was not done by the request's deadline"):
            async with client.request("GET", "/x", deadline=deadline) as reply:
                await reply.read()
        await server.until_open(0)


async def test_a_kept_connection_is_timed_again_for_each_request() -> None:
    requests = 0

    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        while True:
            await asked(reader)
            requests += 1
            if requests < 3:
                writer.write(OK)

    async with listening(script) as server:
        client = HttpClient(server.address, response_timeout_s=0.2)
        await get(client)
        await asyncio.sleep(0.15)
        await get(client)
        began = asyncio.get_running_loop().time()
        with pytest.raises(DeploymentTimeout):
            await get(client)
        assert asyncio.get_running_loop().time() - began > 0.15
        assert len(server.made) == 1


async def test_a_server_that_does_not_let_in_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        clogging = [socket.socket() for _ in range(4)]
        for each in clogging:
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        client = HttpClient(Address(host="127.0.0.1", port=port), connect_timeout_s=SOON)
        with pytest.raises(ModelUnavailable, match=r"connecting took longer than 0\.05 s"):
            await get(client)
        assert client.state.open == client.state.connecting == 0
        for each in clogging:
            each.close()


async def test_a_handshake_that_does_not_end_is_given_up() -> None:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65536):
            pass

    async with listening(script) as server:
        address = Address(host="127.0.0.1", port=server.address.port, tls=True)
        client = HttpClient(address, connect_timeout_s=0.3)
        with pytest.raises(ModelUnavailable, match=r"the TLS handshake took longer than 0\.3 s"):
            await get(client)
        await server.until_open(0)


@pytest.mark.parametrize(
    "test",
    [
        test_a_server_that_does_not_begin_is_given_up,
        test_a_stream_that_goes_silent_is_given_up,
        test_each_piece_begins_the_wait_anew,
        test_a_handshake_that_does_not_end_is_given_up,
        test_a_server_that_does_not_let_in_is_given_up,
    ],
    ids=lambda test: test.__name__.removeprefix("test_"),
)
def test_uvloop_makes_no_difference(test: Callable[[], Coroutine[object, object, None]]) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(test())
