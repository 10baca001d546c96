"""A real HTTP/1.1 server that answers from a script, byte for byte, and remembers what was asked.

The fakes of providers beside this file decide what to answer; this file only speaks HTTP. A piece
of a body is sent as it stands, in a packet of its own, so a test says exactly where the stream is
cut, where it waits and how it ends.

Not covered: TLS, HTTP/2, chunked request bodies.
"""

import socket
import struct
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

import msgspec

__all__ = ["Answer", "Asked", "Cut", "Handler", "Hold", "Piece", "Server", "json_answer", "serving"]


@dataclass
class Asked:
    """One request as it came."""

    method: str
    path: str
    """Without the query."""
    query: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    hung_up: threading.Event = field(default_factory=threading.Event)
    """Set once the client has closed the connection before the answer's end."""

    def json(self) -> dict[str, object]:
        return msgspec.json.decode(self.body, type=dict[str, object])


@dataclass
class Hold:
    """A body waits here until the test says so (or the client has gone)."""

    go_on: threading.Event = field(default_factory=threading.Event)
    reached: threading.Event = field(default_factory=threading.Event)


@dataclass
class Cut:
    """The connection ends here, without the body's end."""

    reset: bool = False
    """By a TCP reset instead of an orderly close."""


Piece: TypeAlias = bytes | Hold | Cut


@dataclass
class Answer:
    """What to say. `framing` is how the body's end is told: by its length, in chunks, by closing."""

    status: int = 200
    headers: Sequence[tuple[str, str]] = ()
    body: bytes | Iterable[Piece] = b""
    framing: Literal["length", "chunked", "close"] | None = None
    """None: by length for bytes, in chunks for pieces."""


def json_answer(
    value: object, status: int = 200, headers: Sequence[tuple[str, str]] = ()
) -> Answer:
    """An answer with a JSON body."""
    body = msgspec.json.encode(value)
    return Answer(status, [("content-type", "application/json"), *headers], body)


Handler: TypeAlias = Callable[[Asked], Answer]


@dataclass
class Server:
    """What the server answers, and what it was asked."""

    routes: dict[tuple[str, str], Handler] = field(default_factory=dict)
    """By method and path; a path that ends in `*` matches by what stands before it."""
    scripted: deque[Answer] = field(default_factory=deque)
    """Given first, one a request, whatever is asked."""
    asked: list[Asked] = field(default_factory=list)
    port: int = 0

    def url(self, path: str = "") -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def on(self, method: str, path: str, handler: Handler) -> None:
        self.routes[method, path] = handler

    def script(self, *answers: Answer) -> None:
        """Answer the next requests with these."""
        self.scripted.extend(answers)

    def answer(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        if self.scripted:
            return self.scripted.popleft()
        handler = self.routes.get((asked.method, asked.path))
        if handler is None:
            handler = next(
                (
                    handler
                    for (method, path), handler in self.routes.items()
                    if path.endswith("*")
                    and method == asked.method
                    and asked.path.startswith(path[:-1])
                ),
                None,
            )
        if handler is None:
            return Answer(404, [("content-type", "text/plain")], b"no such route in this test")
        return handler(asked)


class _Gone(Exception):
    """The client has closed the connection."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    scripted: Server
    stop: threading.Event

    def do_GET(self) -> None:
        self.do_POST()

    def do_POST(self) -> None:
        parts = urlsplit(self.path)
        length = int(self.headers.get("content-length") or 0)
        asked = Asked(
            self.command,
            parts.path,
            parts.query,
            {name.lower(): value for name, value in self.headers.items()},
            self.rfile.read(length),
        )
        answer = self.scripted.answer(asked)
        try:
            self._send(answer)
        except (OSError, _Gone):
            self.close_connection = True
            asked.hung_up.set()

    def _send(self, answer: Answer) -> None:
        whole = isinstance(answer.body, bytes)
        framing = answer.framing or ("length" if whole else "chunked")
        pieces: Iterable[Piece] = [answer.body] if isinstance(answer.body, bytes) else answer.body
        if framing == "length":
            pieces = list(pieces)
        self.send_response(answer.status)
        for name, value in answer.headers:
            self.send_header(name, value)
        if framing == "length":
            size = sum(len(piece) for piece in pieces if isinstance(piece, bytes))
            self.send_header("content-length", str(size))
        elif framing == "chunked":
            self.send_header("transfer-encoding", "chunked")
        else:
            self.send_header("connection", "close")
            self.close_connection = True
        self.end_headers()
        for piece in pieces:
            if isinstance(piece, Cut):
                return self._cut(piece)
            if isinstance(piece, Hold):
                self._hold(piece)
            elif framing == "chunked" and piece:
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            else:
                self.wfile.write(piece)
        if framing == "chunked":
            self.wfile.write(b"0\r\n\r\n")
        return None

    def _hold(self, hold: Hold) -> None:
        hold.reached.set()
        self.connection.settimeout(0.01)
        try:
            while not hold.go_on.is_set() and not self.stop.is_set():
                try:
                    if not self.connection.recv(1, socket.MSG_PEEK):
                        raise _Gone
                    hold.go_on.wait(0.01)
                except TimeoutError:
                    continue
        finally:
            self.connection.settimeout(None)

    def _cut(self, cut: Cut) -> None:
        self.close_connection = True
        if cut.reset:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Nothing: `asked` is the log."""


class _Listener(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: clients that hang up are part of these tests."""


@contextmanager
def serving() -> Iterator[Server]:
    """A server on a free port, until the block ends."""
    scripted = Server()
    stop = threading.Event()
    handler = type("Handler", (_Handler,), {"scripted": scripted, "stop": stop})
    listener = _Listener(("127.0.0.1", 0), handler)
    scripted.port = listener.server_address[1]
    thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield scripted
    finally:
        stop.set()
        listener.shutdown()
        listener.server_close()
        thread.join()
