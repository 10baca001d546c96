"""A real HTTP server of files: ranges, validators, redirects; told to cut, hold or refuse."""

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["Origin", "serving"]


@dataclass
class Origin:
    """What the server has, how it misbehaves, and what it was asked."""

    files: dict[str, bytes] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    etag: str | None = '"v1"'
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    """Paths and headers (names in lower case), in order."""
    statuses: deque[int] = field(default_factory=deque)
    """Answered first, one each."""
    cuts: deque[int] = field(default_factory=deque)
    """Bytes after which the next bodies break off, one each."""
    hold_at: int | None = None
    """Bytes after which a body waits for `go_on`."""
    go_on: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    def url(self, path: str = "", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]

    def headers_of(self, path: str) -> list[dict[str, str]]:
        return [headers for asked, headers in self.asked if asked == path]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    origin: Origin

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        origin = self.origin
        headers = {name.lower(): value for name, value in self.headers.items()}
        origin.asked.append((self.path, headers))
        if origin.statuses:
            return self._answer(origin.statuses.popleft(), b"")
        if self.path in origin.redirects:
            self.send_response(302)
            self.send_header("location", origin.redirects[self.path])
            self.send_header("content-length", "0")
            return self.end_headers()
        body = origin.files.get(self.path)
        if body is None:
            return self._answer(404, b"")
        return self._file(body, headers)

    def _file(self, body: bytes, headers: dict[str, str]) -> None:
        begin = 0
        wanted = headers.get("range", "")
        if wanted.startswith("bytes=") and headers.get("if-range") in (None, self.origin.etag):
            begin = int(wanted[6:].rstrip("-"))
            if begin >= len(body):
                return self._answer(416, b"")
        extra = {"content-range": f"bytes {begin}-{len(body) - 1}/{len(body)}"} if begin else {}
        return self._answer(206 if begin else 200, body[begin:], extra)

    def _answer(self, status: int, body: bytes, extra: dict[str, str] | None = None) -> None:
        origin = self.origin
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.send_header("content-type", origin.types.get(self.path, "application/octet-stream"))
        if origin.etag is not None:
            self.send_header("etag", origin.etag)
        for name, value in (extra or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if origin.cuts and body:
            self.wfile.write(body[: origin.cuts.popleft()])
            self.close_connection = True
            return
        if origin.hold_at is not None and body:
            self.wfile.write(body[: origin.hold_at])
            body = body[origin.hold_at :]
            origin.go_on.wait(60)
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
        """Nothing: `asked` is the log."""


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: clients that hang up are part of these tests."""


@contextmanager
def serving() -> Iterator[Origin]:
    """A server on a free port, until the block ends."""
    origin = Origin()
    handler = type("Handler", (_Handler,), {"origin": origin})
    server = _Server(("127.0.0.1", 0), handler)
    origin.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield origin
    finally:
        origin.go_on.set()
        server.shutdown()
        server.server_close()
        thread.join()
