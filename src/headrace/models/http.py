"""A small HTTP/1.1 client for model servers, over TCP or a Unix socket.

The general-purpose clients cost more per streamed token than the rest of the pipeline together,
so the connection to a model is our own protocol over httptools: kept alive where that pays,
strict limits, back-pressure, and closing a stream in the middle closes the connection, which is
what tells the server to stop generating.

Not covered: TLS, proxies, redirects, compressed bodies, trailers.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Self, cast
from urllib.parse import urlsplit

import httptools

from headrace.errors import ModelUnavailable

__all__ = ["Address", "HttpClient", "Reply"]

MAX_HEADER_BYTES = 64 * 1024
MAX_WHOLE_BODY_BYTES = 64 * 1024 * 1024
PAUSE_ABOVE_BYTES = 1024 * 1024
"""Unread bytes of a stream above which the server is made to wait."""
MAX_IDLE = 4
"""Connections kept for later. Each one occupies a thread of llama.cpp's server while it idles."""
IDLE_S = 4.0
"""How long one is kept: llama.cpp's server closes it after 5 s, without a word."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens: a Unix socket, or host and port."""

    socket: str | None = None
    host: str = ""
    port: int = 0
    base_path: str = ""
    """What stands before every request's own path."""

    @classmethod
    def of(cls, url: str) -> Self:
        """The address in a URL such as `http://localhost:8000/v1`."""
        parts = urlsplit(url)
        return cls(
            host=parts.hostname or "", port=parts.port or 80, base_path=parts.path.rstrip("/")
        )

    def __str__(self) -> str:
        return f"unix:{self.socket}" if self.socket else f"{self.host}:{self.port}"


@dataclass(slots=True)
class Reply:
    """A response: status and headers are complete, the body comes from `chunks` or `read`."""

    status: int
    headers: Mapping[str, str]
    _connection: "_Connection"

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body as it arrives; leaving early closes the connection."""
        while True:
            piece = await self._connection.next_piece()
            if piece is None:
                return
            yield piece

    async def read(self) -> bytes:
        """The whole body, at most 64 MiB."""
        pieces: list[bytes] = []
        size = 0
        async with aclosing(self.chunks()) as chunks:
            async for piece in chunks:
                size += len(piece)
                if size > MAX_WHOLE_BODY_BYTES:
                    raise ModelUnavailable("the model server's response is larger than 64 MiB")
                pieces.append(piece)
        return b"".join(pieces)


@dataclass(slots=True)
class _Parsed:
    """One response in the making."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    header_bytes: int = 0
    pieces: deque[bytes] = field(default_factory=deque)
    unread: int = 0
    headers_complete: bool = False
    complete: bool = False
    failure: str | None = None
    received: int = 0
    """Bytes that have come, of whatever."""


class _Broken(Exception):
    """The connection broke off before the first byte of the response."""


class _Connection(asyncio.Protocol):
    """One connection; carries one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._parser: httptools.HttpResponseParser | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._paused = False
        self._parsed = _Parsed()
        self.is_open = False
        self.idle_since = 0.0
        self._keep_alive = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's, so this cannot be asked at run time.
        self._transport = cast(asyncio.Transport, transport)
        self.is_open = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        parsed = self._parsed
        if parsed.headers_complete and not parsed.complete and self._ends_with_connection():
            parsed.complete = exc is None
        if not parsed.complete and parsed.failure is None:
            parsed.failure = f"the connection broke off{f' ({exc})' if exc else ''}"
        self._wake()

    def _ends_with_connection(self) -> bool:
        """Whether the body has no length of its own (RFC 9112, section 6.3)."""
        headers = self._parsed.headers
        return "content-length" not in headers and "transfer-encoding" not in headers

    def data_received(self, data: bytes) -> None:
        if self._parser is None or self._parsed.complete:
            # Nothing was asked: whatever this is, it must not become the next response.
            self.close()
            return
        self._parsed.received += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._parsed.failure = (
                self._parsed.failure or f"the server does not speak HTTP ({error})"
            )
            self.close()
        if not self._parsed.headers_complete and self._parsed.received > MAX_HEADER_BYTES:
            # A header that does not end is never reported to `on_header`.
            self._too_large()
        if self._parsed.unread > PAUSE_ABOVE_BYTES and not self._paused:
            assert self._transport is not None
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def on_message_begin(self) -> None:
        if self._parsed.complete:
            # More than was asked for, in one packet with the end of what was.
            self._keep_alive = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._parsed.complete:
            return
        self._parsed.header_bytes += len(name) + len(value)
        if self._parsed.header_bytes > MAX_HEADER_BYTES:
            self._too_large()
        self._parsed.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def _too_large(self) -> None:
        self._parsed.failure = "the server's response headers are larger than 64 KiB"
        self.close()

    def on_headers_complete(self) -> None:
        assert self._parser is not None
        if self._parsed.complete:
            return
        self._parsed.status = self._parser.get_status_code()
        self._parsed.headers_complete = self._parsed.status >= 200

    def on_body(self, body: bytes) -> None:
        if self._parsed.complete:
            return
        self._parsed.pieces.append(body)
        self._parsed.unread += len(body)

    def on_message_complete(self) -> None:
        assert self._parser is not None
        if self._parsed.complete:
            return
        if self._parsed.status < 200:
            # An interim response (RFC 9110, section 15.2): the real one follows.
            self._parsed.headers.clear()
            self._parsed.headers_complete = False
            return
        self._parsed.complete = True
        self._keep_alive = self._keep_alive and self._parser.should_keep_alive()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _changed(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    async def request(self, data: bytes, *, keep_alive: bool) -> Reply:
        """Send a request; returns when the response's headers are here."""
        self._parsed = _Parsed()
        self._parser = httptools.HttpResponseParser(self)
        self._keep_alive = keep_alive
        assert self._transport is not None
        self._transport.write(data)
        parsed = self._parsed
        while not parsed.headers_complete and parsed.failure is None:
            await self._changed()
        if parsed.failure is not None and not parsed.pieces:
            if not parsed.received:
                raise _Broken(parsed.failure)
            raise ModelUnavailable(f"the model server did not answer: {parsed.failure}")
        return Reply(parsed.status, parsed.headers, self)

    async def next_piece(self) -> bytes | None:
        """More of the body, or None at its end."""
        parsed = self._parsed
        while not parsed.pieces:
            if parsed.complete:
                return None
            if parsed.failure is not None:
                raise ModelUnavailable(f"the model server broke off: {parsed.failure}")
            await self._changed()
        if len(parsed.pieces) == 1:
            piece = parsed.pieces.popleft()
        else:
            piece = b"".join(parsed.pieces)
            parsed.pieces.clear()
        parsed.unread = 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return piece

    @property
    def is_idle(self) -> bool:
        return self.is_open and self._parsed.complete and self._keep_alive

    def close(self) -> None:
        self.is_open = False
        if self._transport is not None:
            self._transport.abort()


class HttpClient:
    """Connections to one server, kept alive between requests."""

    def __init__(
        self,
        address: Address,
        *,
        connect_timeout_s: float = 5.0,
        response_timeout_s: float | None = None,
        idle_timeout_s: float | None = None,
    ) -> None:
        del response_timeout_s, idle_timeout_s
        self._address = address
        self._connect_timeout_s = connect_timeout_s
        self._idle: list[_Connection] = []
        self._closed = False

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        address = self._address
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                if address.socket is not None:
                    _, made = await loop.create_unix_connection(_Connection, address.socket)
                else:
                    _, made = await loop.create_connection(_Connection, address.host, address.port)
        except (OSError, TimeoutError) as error:
            raise ModelUnavailable(
                f"no model server answers at {address}: {error or 'timed out'}"
            ) from error
        return made

    @asynccontextmanager
    async def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        headers: Sequence[tuple[str, str]] = (),
        keep_alive: bool = True,
    ) -> AsyncGenerator[Reply, None]:
        """One request; leaving the block before the body's end closes the connection.

        A kept connection may have been closed by the server a moment ago: where one breaks off
        before the first byte of a response, the request is sent once more over a fresh one.

        Args:
            keep_alive: False tells the server to close after this response.

        Raises:
            ModelUnavailable: nobody listens, or the connection broke off before the headers.
        """
        data = self._head(method, path, len(body), headers, keep_alive=keep_alive) + body
        kept = self._take()
        connection = kept or await self._connect()
        try:
            try:
                reply = await connection.request(data, keep_alive=keep_alive)
            except _Broken:
                connection.close()
                if kept is None:
                    raise
                connection = await self._connect()
                reply = await connection.request(data, keep_alive=keep_alive)
        except _Broken as error:
            raise ModelUnavailable(f"the model server did not answer: {error}") from error
        except BaseException:
            connection.close()
            raise
        try:
            yield reply
        finally:
            self._give_back(connection)

    def _take(self) -> _Connection | None:
        now = asyncio.get_running_loop().time()
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open and now - connection.idle_since < IDLE_S:
                return connection
            connection.close()
        return None

    def _give_back(self, connection: _Connection) -> None:
        if connection.is_idle and len(self._idle) < MAX_IDLE and not self._closed:
            connection.idle_since = asyncio.get_running_loop().time()
            self._idle.append(connection)
        else:
            connection.close()

    def _head(
        self,
        method: str,
        path: str,
        length: int,
        headers: Sequence[tuple[str, str]],
        *,
        keep_alive: bool,
    ) -> bytes:
        more = "".join(f"{name}: {value}\r\n" for name, value in headers)
        return (
            f"{method} {self._address.base_path}{path} HTTP/1.1\r\nhost: model\r\n"
            f"content-type: application/json\r\ncontent-length: {length}\r\n{more}"
            f"connection: {'keep-alive' if keep_alive else 'close'}\r\n\r\n"
        ).encode()

    def close(self) -> None:
        """Close idle connections; streams that run end on their own."""
        self._closed = True
        while self._idle:
            self._idle.pop().close()
