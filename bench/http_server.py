"""What answering over HTTP costs: our server beside uvicorn, on a chat endpoint that does nothing.

    .venv/bin/python bench/http_server.py [--seconds 3] [--connections 16] [--chunks 30]

Each server runs in a process pinned to the first core, the client in one pinned to the second; the
order is interleaved over several rounds, and the median counts. Printed are requests a second, and
the server's own CPU time per request (user and system, from getrusage): the first depends on the
client too, the second does not. The endpoint reads and decodes a chat request and answers with a
fixed body, whole or as a stream of chunks; under uvicorn it does so as the gateway did before:
reading the body event by event and watching for a client that leaves. Without uvicorn installed
(`pip install uvicorn`) only ours runs.
"""

import argparse
import asyncio
import importlib.util
import multiprocessing
import os
import resource
import socket
import statistics
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any, cast

import httptools
import msgspec
import uvloop

from headrace.gateway.http import Exchange
from headrace.gateway.wire import ChatRequest, decode
from headrace.server.http1.limits import Limits
from headrace.server.http1.server import HttpServer

ROUNDS = 3
CORES = sorted(os.sched_getaffinity(0))
BODY = msgspec.json.encode(
    {
        "model": "small",
        "messages": [{"role": "user", "content": "What is the capital of France? " * 4}],
        "max_tokens": 16,
    }
)
ANSWER = msgspec.json.encode(
    {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "choices": [{"message": {"content": "x" * 200}}],
    }
)
CHUNK = b'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","choices":[{"delta":{"content":" token"}}]}\n\n'
HEADERS = [
    (b"content-type", b"application/json"),
    (b"x-request-id", b"0193e0c4-0000-7000-8000-000000000000"),
    (b"x-headrace-release", b"sha256:0000"),
]
STREAM_HEADERS = [(b"content-type", b"text/event-stream"), *HEADERS[1:]]
LIMIT = 4 * 1024 * 1024


def request(path: str) -> bytes:
    """With the headers that OpenAI's SDK sends."""
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:8080\r\nAccept-Encoding: gzip, deflate\r\n"
        "Connection: keep-alive\r\nAccept: application/json\r\nContent-Type: application/json\r\n"
        "User-Agent: OpenAI/Python 3.57.0\r\nX-Stainless-Lang: python\r\nX-Stainless-OS: Linux\r\n"
        "X-Stainless-Arch: x64\r\nX-Stainless-Runtime: CPython\r\nx-stainless-async: false\r\n"
        "Authorization: Bearer hr-0123456789abcdef0123456789abcdef0123\r\n"
        f"Content-Length: {len(BODY)}\r\n\r\n"
    ).encode() + BODY


async def exchange_app(exchange: Exchange, *, chunks: int = 0) -> None:
    """Ours."""
    decode(await exchange.body(LIMIT), ChatRequest)
    exchange.headers.get("authorization")
    if exchange.path == "/whole":
        exchange.respond(200, HEADERS, ANSWER)
        return
    exchange.begin(200, STREAM_HEADERS)
    for _ in range(chunks):
        await exchange.write(CHUNK)
        await asyncio.sleep(0)
    exchange.end(b"data: [DONE]\n\n")


Message = MutableMapping[str, Any]  # ASGI's own types
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


async def asgi_app(scope: Message, receive: Receive, send: Send, *, chunks: int = 0) -> None:
    """The same as an ASGI app, as the gateway was one."""
    headers = {n.decode("latin-1"): v.decode("latin-1") for n, v in scope["headers"]}
    headers.get("authorization", "")
    pieces = []
    while True:
        event = await receive()
        pieces.append(event.get("body", b""))
        if not event.get("more_body"):
            break
    decode(b"".join(pieces), ChatRequest)

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    async def work() -> None:
        if scope["path"] == "/whole":
            length = (b"content-length", str(len(ANSWER)).encode())
            await send(
                {"type": "http.response.start", "status": 200, "headers": [*HEADERS, length]}
            )
            await send({"type": "http.response.body", "body": ANSWER})
            return
        await send({"type": "http.response.start", "status": 200, "headers": STREAM_HEADERS})
        for _ in range(chunks):
            await send({"type": "http.response.body", "body": CHUNK, "more_body": True})
            await asyncio.sleep(0)
        done = {"type": "http.response.body", "body": b"data: [DONE]\n\n", "more_body": True}
        await send(done)
        await send({"type": "http.response.body", "body": b""})

    worker, watcher = asyncio.ensure_future(work()), asyncio.ensure_future(gone())
    await asyncio.wait({worker, watcher}, return_when=asyncio.FIRST_COMPLETED)
    watcher.cancel()


def serve(kind: str, listener: socket.socket, chunks: int, pipe: Any) -> None:
    """A server's process; tells the CPU seconds it has used whenever it is asked."""
    os.sched_setaffinity(0, {CORES[0]})

    async def run() -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(pipe.fileno(), lambda: pipe.send((pipe.recv(), cpu_s())[1]))
        if kind == "headrace":
            handler = lambda exchange: exchange_app(exchange, chunks=chunks)  # noqa: E731
            await HttpServer(handler, Limits()).serve(listener)
            return
        import uvicorn

        app = lambda scope, receive, send: asgi_app(scope, receive, send, chunks=chunks)  # noqa: E731
        config = uvicorn.Config(
            app, interface="asgi3", http="httptools", ws="none", lifespan="off", log_config=None, access_log=False,
            server_header=False, proxy_headers=False, timeout_keep_alive=75,
        )  # fmt: skip
        await uvicorn.Server(config).serve(sockets=[listener])

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run())


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Client(asyncio.Protocol):
    """Sends the next request when the answer to the last is complete."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._parser = httptools.HttpResponseParser(self)
        self.answers = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.WriteTransport", transport)  # uvloop's are no subclasses
        self.transport.write(self._data)

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        assert self._parser.get_status_code() == 200
        self.answers += 1
        self.transport.write(self._data)


@dataclass
class Measured:
    """One round."""

    per_s: float
    cpu_us: float


async def drive(port: int, data: bytes, connections: int, seconds: float, pipe: Any) -> Measured:
    loop = asyncio.get_running_loop()
    clients = [
        (await loop.create_connection(lambda: Client(data), "127.0.0.1", port))[1]
        for _ in range(connections)
    ]
    await asyncio.sleep(0.3)  # warm
    before, cpu = sum(client.answers for client in clients), ask(pipe)
    began = time.perf_counter()
    await asyncio.sleep(seconds)
    took, used = time.perf_counter() - began, ask(pipe) - cpu
    answers = sum(client.answers for client in clients) - before
    for client in clients:
        client.transport.abort()
    return Measured(answers / took, used / answers * 1e6)


def ask(pipe: Any) -> float:
    pipe.send(None)
    return float(pipe.recv())


def measure(kind: str, path: str, arguments: argparse.Namespace) -> Measured:
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    port = listener.getsockname()[1]
    here, there = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(
        target=serve, args=(kind, listener, arguments.chunks, there)
    )
    process.start()
    listener.close()
    try:
        run = drive(port, request(path), arguments.connections, arguments.seconds, here)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(run)
    finally:
        process.kill()
        process.join()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--chunks", type=int, default=30)
    arguments = parser.parse_args()
    kinds = ["headrace"]
    if importlib.util.find_spec("uvicorn"):
        kinds.append("uvicorn")
    os.sched_setaffinity(0, {CORES[-1]})
    for path in ("/whole", "/stream"):
        rounds: dict[str, list[Measured]] = {kind: [] for kind in kinds}
        for _ in range(ROUNDS):
            for kind in kinds:
                rounds[kind].append(measure(kind, path, arguments))
        cpu = {k: statistics.median(m.cpu_us for m in ms) for k, ms in rounds.items()}
        for kind in kinds:
            per_s = statistics.median(m.per_s for m in rounds[kind])
            print(f"{path:8} {kind:9} {per_s:9,.0f} requests/s  {cpu[kind]:7.1f} us CPU each")
        if len(kinds) > 1:
            print(f"{path:8} ratio of CPU {cpu['uvicorn'] / cpu['headrace']:.2f}")


if __name__ == "__main__":
    main()
