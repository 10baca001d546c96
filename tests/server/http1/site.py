"""A server of its own on a real port, and clients that send exactly the bytes they are told to."""

import asyncio
import contextlib
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Self

import uvloop

from headrace.gateway.http import Exchange
from headrace.server.http1.limits import Limits
from headrace.server.http1.server import Handler, HttpServer, Relay

__all__ = ["Answer", "Client", "Echo", "Site", "get", "post"]

WAIT_S = 10.0


def get(path: str = "/", *headers: str, version: str = "1.1") -> bytes:
    return _head("GET", path, headers, version) + b"\r\n"


def post(path: str, body: bytes, *headers: str, version: str = "1.1") -> bytes:
    headers = (*headers, f"Content-Length: {len(body)}")
    return _head("POST", path, headers, version) + b"\r\n" + body


def _head(method: str, path: str, headers: tuple[str, ...], version: str) -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "Host: test", *headers]
    return "".join(f"{line}\r\n" for line in lines).encode("latin-1")


@dataclass
class Answer:
    """A response as it came."""

    status: int
    headers: dict[str, str]
    body: bytes
    interim: int = 0
    """How many answers with a status of 1xx came before."""

    def json(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.body)
        return found

    @property
    def code(self) -> object:
        """The code of an error."""
        error = self.json()["error"]
        assert isinstance(error, dict)
        return error["code"]


class Client:
    """A socket, and answers read from it."""

    def __init__(self, connected: socket.socket) -> None:
        self.socket = connected
        self._unread = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> Self:
        self.socket.sendall(data)
        return self

    def ask(self, data: bytes, *, method: str = "GET") -> Answer:
        return self.send(data).answer(method=method)

    def answer(self, *, method: str = "GET") -> Answer:
        """The next answer on this connection."""
        interim = 0
        while True:
            head = self._until(b"\r\n\r\n").decode("latin-1").split("\r\n")
            status = int(head[0].split(" ")[1])
            if status >= 200:
                break
            interim += 1
        headers = dict(line.lower().split(": ", 1) for line in head[1:] if line)
        if method == "HEAD" or status in (204, 304):
            body = b""
        elif headers.get("transfer-encoding") == "chunked":
            body = b"".join(self._chunks())
        elif "content-length" in headers:
            body = self._exactly(int(headers["content-length"]))
        else:
            body = self.rest()
        return Answer(status, headers, body, interim)

    def rest(self) -> bytes:
        """Everything until the server closes; fails when it does not."""
        while packet := self.socket.recv(65536):
            self._unread += packet
        found, self._unread = self._unread, b""
        return found

    def is_closed(self) -> bool:
        """Wait for the server to close; False if it sends something instead."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True

    def read_some(self, size: int) -> bytes:
        return self._exactly(size)

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self._until(b"\r\n"), 16):
            yield self._exactly(size)
            assert self._exactly(2) == b"\r\n"
        assert self._exactly(2) == b"\r\n"

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._unread:
            self._receive()
        found, _, self._unread = self._unread.partition(mark)
        return found

    def _exactly(self, size: int) -> bytes:
        while len(self._unread) < size:
            self._receive()
        found, self._unread = self._unread[:size], self._unread[size:]
        return found

    def _receive(self) -> None:
        packet = self.socket.recv(65536)
        if not packet:
            raise EOFError(f"the server closed after {self._unread!r}")
        self._unread += packet


@dataclass
class Echo:
    """A handler that says what it was asked, and does what the path says."""

    asked: list[tuple[str, str, bytes]] = field(default_factory=list)
    """Method, path and body of every request that was read."""
    cancelled: threading.Event = field(default_factory=threading.Event)
    waiting: threading.Event = field(default_factory=threading.Event)
    """Set once a request for `/wait` is there."""
    written: int = 0
    go: asyncio.Event = field(default_factory=asyncio.Event)
    """Ends the waiting of `/wait` (in the server's thread)."""

    async def __call__(self, exchange: Exchange) -> None:
        try:
            await self._answer(exchange)
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    async def _answer(self, exchange: Exchange) -> None:
        path = exchange.path
        if path == "/unread":
            exchange.respond(200, (), b"unread")
            return
        if path == "/pieces":
            pieces = []
            while piece := await exchange.read():
                pieces.append(piece)
            exchange.respond(200, (), json.dumps({"size": sum(map(len, pieces))}).encode())
            return
        body = await exchange.body(1_000_000)
        self.asked.append((exchange.method, path, body))
        if path == "/wait":
            self.waiting.set()
            await self.go.wait()
        if path == "/fail":
            raise ValueError("a defect")
        if path.startswith("/stream"):
            await self._stream(exchange)
            return
        found = {
            "method": exchange.method,
            "path": path,
            "query": exchange.query.decode(),
            "agent": exchange.headers.get("user-agent"),
            "size": len(body),
        }
        exchange.respond(200, [(b"content-type", b"application/json")], json.dumps(found).encode())

    async def _stream(self, exchange: Exchange) -> None:
        exchange.begin(200, [(b"content-type", b"text/event-stream")])
        if exchange.path == "/stream/endless":
            while True:
                await exchange.write(b"x" * 65536)
                self.written += 65536
        for number in range(3):
            await exchange.write(b"data: %d\n\n" % number)
        if exchange.path == "/stream/wait":
            self.waiting.set()
            await self.go.wait()
        if exchange.path == "/stream/fail":
            raise ValueError("a defect in mid-stream")
        exchange.end(b"data: end\n\n")


class Site:
    """A server in a thread of its own, on the event loop that the service uses."""

    def __init__(self, server: HttpServer, loop: asyncio.AbstractEventLoop, port: int) -> None:
        self.server = server
        self.port = port
        self._loop = loop

    @classmethod
    @contextlib.contextmanager
    def serving(
        cls,
        handler: Handler,
        limits: Limits | None = None,
        *,
        drain_s: float = 5.0,
        tls: ssl.SSLContext | None = None,
        relay: Relay | None = None,
    ) -> Iterator[Self]:
        """Start it, and at the end stop it; what the event loop complained of is a failure."""
        listener = socket.create_server(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        started: list[Self] = []
        ready = threading.Event()

        defects: list[dict[str, object]] = []

        def note(_: asyncio.AbstractEventLoop, what: dict[str, object]) -> None:
            if not isinstance(what.get("exception"), ssl.SSLError):  # a client's, in its handshake
                defects.append(what)

        async def serve() -> None:
            asyncio.get_running_loop().set_exception_handler(note)
            server = HttpServer(handler, limits or Limits(), drain_s=drain_s, tls=tls, relay=relay)
            started.append(cls(server, asyncio.get_running_loop(), port))
            serving = asyncio.ensure_future(server.serve(listener))
            await server.answering.wait()
            ready.set()
            await serving

        def run() -> None:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(serve())

        thread = threading.Thread(target=run)
        thread.start()
        try:
            assert ready.wait(WAIT_S)
            yield started[0]
        finally:
            if thread.is_alive():
                with contextlib.suppress(RuntimeError):  # stopped by the test
                    started[0].call(started[0].server.stop_at_once)
            thread.join(WAIT_S)
        assert not thread.is_alive(), "the server did not stop"
        assert not defects

    def client(self) -> Client:
        return Client(socket.create_connection(("127.0.0.1", self.port), timeout=WAIT_S))

    def call(self, function: Callable[[], object]) -> None:
        """Call something in the server's thread."""
        self._loop.call_soon_threadsafe(function)

    def stop(self) -> None:
        self.call(self.server.stop)
