"""What the connection to a model server costs: our client against others, in one run.

    python bench/upstream.py [--rounds 5] [--requests 4000] [--streams 64] [--chunks 100] [--json]

The server is a process of its own on another core, and all clients take turns within each round,
so that the machine's moods fall on all alike. Each client asks it for

    whole    small JSON answers (700 bytes), 16 at a time over kept connections
    stream   events of 200 bytes, in so many streams at once; the server sends one event to each
             stream every 10 ms, so that each arrives in a packet of its own, as a model's do

Printed: CPU time of the client per request and per event (medians of the rounds), what one core
could do at that price, and the ratio to the bare loop. Wall time would measure the server.

    bare       an asyncio.Protocol with httptools and nothing else: no limits, no time-outs
    streams    asyncio's own streams, reading what this server sends and no other
    exchange   HttpClient.exchange: our client, handing on by calls (the gateway's relay)
    request    HttpClient.request: our client, awaited
    httpx      httpx.AsyncClient
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import ClassVar

import httptools
import httpx
import uvloop

from headrace.errors import ModelUnavailable
from headrace.models.http import Address, Head, HttpClient

EVENT = b"data: " + json.dumps({"choices": [{"delta": {"content": "x" * 155}}]}).encode() + b"\n\n"
ANSWER = json.dumps({"choices": [{"message": {"content": "x" * 650}}]}).encode()
BODY = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi " * 40}]}).encode()
HEADERS = [("authorization", "Bearer sk-0123456789abcdef0123456789abcdef")]
TICK_S = 0.01
CHUNK = b"%x\r\n%b\r\n" % (len(EVENT), EVENT)
CONCURRENT = 16

Ask = Callable[[str], Awaitable[int]]
"""Asks for a path; gives the bytes of its body."""


class Server(asyncio.Protocol):
    """Answers `/whole`, and `/stream/N` with N events."""

    streams: ClassVar[dict["Server", int]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""

    def connection_lost(self, exc: Exception | None) -> None:
        self.streams.pop(self, None)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        self._url = url

    def on_message_complete(self) -> None:
        if self._url == b"/whole":
            head = (
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
            )
            self.transport.write(head % len(ANSWER) + ANSWER)
        else:
            head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
            self.transport.write(head)
            self.streams[self] = int(self._url.rpartition(b"/")[2])

    @classmethod
    async def serve(cls) -> None:
        loop = asyncio.get_running_loop()
        server = await loop.create_server(cls, "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
        while True:
            await asyncio.sleep(TICK_S)
            for stream, left in list(cls.streams.items()):
                if left:
                    stream.transport.write(CHUNK)
                    cls.streams[stream] = left - 1
                else:
                    stream.transport.write(b"0\r\n\r\n")
                    del cls.streams[stream]


def head_of(path: str) -> bytes:
    fields = "".join(f"{name}: {value}\r\n" for name, value in HEADERS)
    return (
        f"POST {path} HTTP/1.1\r\nhost: m\r\n{fields}content-length: {len(BODY)}\r\n\r\n".encode()
    )


class Bare(asyncio.Protocol):
    """The least that reads HTTP."""

    idle: ClassVar[list["Bare"]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self._parser = httptools.HttpResponseParser(self)
        self._size = 0

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._size += len(body)

    def on_message_complete(self) -> None:
        size, self._size = self._size, 0
        self.idle.append(self)
        self._done.set_result(size)

    async def ask(self, path: str) -> int:
        self._done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.transport.write(head_of(path) + BODY)
        return await self._done


@asynccontextmanager
async def bare(port: int) -> AsyncIterator[Ask]:
    loop = asyncio.get_running_loop()

    async def ask(path: str) -> int:
        if not Bare.idle:
            return await (await loop.create_connection(Bare, "127.0.0.1", port))[1].ask(path)
        return await Bare.idle.pop().ask(path)

    yield ask
    while Bare.idle:
        Bare.idle.pop().transport.close()


@asynccontextmanager
async def streams(port: int) -> AsyncIterator[Ask]:
    idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(path: str) -> int:
        reader, writer = idle.pop() if idle else await asyncio.open_connection("127.0.0.1", port)
        writer.write(head_of(path) + BODY)
        head = await reader.readuntil(b"\r\n\r\n")
        if b"chunked" not in head:
            size = len(await reader.readexactly(len(ANSWER)))
        else:
            size = 0
            while length := int(await reader.readline(), 16):
                size += len(await reader.readexactly(length))
                await reader.readexactly(2)
            await reader.readexactly(2)
        idle.append((reader, writer))
        return size

    yield ask
    for _, writer in idle:
        writer.close()


class Counter:
    """A sink that counts."""

    __slots__ = ("done", "size")

    def __init__(self) -> None:
        self.size = 0
        self.done: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def began(self, head: Head) -> None:
        assert head.status == 200

    def received(self, data: bytes) -> None:
        self.size += len(data)

    def ended(self) -> None:
        self.done.set_result(self.size)

    def failed(self, error: ModelUnavailable) -> None:
        self.done.set_exception(error)


def ours(port: int) -> HttpClient:
    return HttpClient(
        Address(host="127.0.0.1", port=port), response_timeout_s=120, idle_timeout_s=60
    )


@asynccontextmanager
async def exchange(port: int) -> AsyncIterator[Ask]:
    client = ours(port)
    heads = {}

    async def ask(path: str) -> int:
        if path not in heads:
            heads[path] = client.head("POST", path, headers=HEADERS)
        counter = Counter()
        client.exchange(heads[path], BODY, counter)
        return await counter.done

    yield ask
    client.close()


@asynccontextmanager
async def request(port: int) -> AsyncIterator[Ask]:
    client = ours(port)

    async def ask(path: str) -> int:
        async with client.request("POST", path, BODY, headers=HEADERS) as reply:
            return sum([len(piece) async for piece in reply.chunks()])

    yield ask
    client.close()


@asynccontextmanager
async def with_httpx(port: int) -> AsyncIterator[Ask]:
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
    async with httpx.AsyncClient(limits=limits, timeout=60, trust_env=False) as client:

        async def ask(path: str) -> int:
            url = f"http://127.0.0.1:{port}{path}"
            async with client.stream("POST", url, content=BODY, headers=HEADERS) as reply:
                return sum([len(piece) async for piece in reply.aiter_bytes()])

        yield ask


WAYS = {"bare": bare, "streams": streams, "exchange": exchange, "request": request, "httpx": with_httpx}  # fmt: skip


async def whole(ask: Ask, requests: int) -> float:
    """CPU seconds a request."""

    async def some() -> None:
        for _ in range(requests // CONCURRENT):
            assert await ask("/whole") == len(ANSWER)

    await asyncio.gather(*(ask("/whole") for _ in range(CONCURRENT)))
    began = time.process_time()
    await asyncio.gather(*(some() for _ in range(CONCURRENT)))
    return (time.process_time() - began) / (requests // CONCURRENT * CONCURRENT)


async def stream(ask: Ask, count: int, chunks: int) -> float:
    """CPU seconds an event."""
    await asyncio.gather(*(ask("/whole") for _ in range(count)))
    began = time.process_time()
    sizes = await asyncio.gather(*(ask(f"/stream/{chunks}") for _ in range(count)))
    assert sizes == [chunks * len(EVENT)] * count
    return (time.process_time() - began) / (count * chunks)


async def measure(options: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    cores = sorted(os.sched_getaffinity(0))
    server = await asyncio.create_subprocess_exec(
        sys.executable, __file__, "--serve", str(cores[-1]), stdout=asyncio.subprocess.PIPE
    )
    assert server.stdout is not None
    port = int(await server.stdout.readline())
    os.sched_setaffinity(0, {cores[0]})
    seen: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    names = list(WAYS)
    try:
        for number in range(options.rounds):
            turn = number % len(names)
            for name in names[turn:] + names[:turn]:
                async with WAYS[name](port) as ask:
                    seen[name]["request"].append(await whole(ask, options.requests))
                    seen[name]["event"].append(await stream(ask, options.streams, options.chunks))
    finally:
        server.kill()
        await server.wait()
    return seen


def report(seen: dict[str, dict[str, list[float]]]) -> None:
    print(
        f"{'':10}{'µs/request':>12}{'per s':>9}{'× bare':>8}{'µs/event':>12}{'per s':>9}{'× bare':>8}"
    )
    for name, costs in seen.items():
        line = f"{name:10}"
        for kind in ("request", "event"):
            cost = statistics.median(costs[kind])
            ratios = [a / b for a, b in zip(costs[kind], seen["bare"][kind], strict=True)]
            line += f"{cost * 1e6:12.1f}{1 / cost:9,.0f}{statistics.median(ratios):8.2f}"
        print(line)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--streams", type=int, default=64)
    parser.add_argument("--chunks", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        os.sched_setaffinity(0, {options.serve})
        uvloop.run(Server.serve())
        return
    seen = uvloop.run(measure(options))
    if options.json:
        print(json.dumps(seen))
    else:
        report(seen)


if __name__ == "__main__":
    main()
