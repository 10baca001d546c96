"""A request with its answer, as a handler sees it: `gateway.http.Exchange`, on a real connection."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from headrace.gateway.http import ClientGone, Headers, Relayed
from headrace.server.http1.body import Body, too_large
from headrace.server.http1.request import Request
from headrace.server.http1.response import HeaderList, has_no_body, response_head, status_line
from headrace.telemetry.trace import Trace

__all__ = ["HttpExchange", "Line"]

_CLOSE = b"connection: close\r\n"
_KEEP = b"connection: keep-alive\r\n"
_CHUNKED = b"transfer-encoding: chunked\r\n"
_EVENT_STREAM = b"text/event-stream"
_LAST_CHUNK = b"0\r\n\r\n"


class Line(Protocol):
    """What an exchange needs of its connection."""

    scheme: str
    peer: tuple[str, int]

    @property
    def is_write_paused(self) -> bool:
        """Whether so much waits for the client that no more should be sent for now."""
        ...

    @property
    def date(self) -> bytes:
        """The header line."""
        ...

    def keeps_alive(self, exchange: "HttpExchange") -> bool:
        """Whether the connection can be used again after this exchange."""
        ...

    def send(self, data: bytes) -> None: ...

    async def writable(self) -> None:
        """Wait until the client has taken enough of what was sent."""
        ...

    def hand_over(self, exchange: "HttpExchange") -> None:
        """Answer it in a task."""
        ...

    def finished(self, exchange: "HttpExchange") -> None:
        """The whole answer has been sent."""
        ...

    def abort(self) -> None:
        """Break the connection off, so that the client sees that the answer is not whole."""
        ...


class HttpExchange:
    """One request and its answer."""

    # No slots: what most exchanges never change stays a value of the class, which makes one faster.
    expects_continue = False
    """Whether the client waits to be told to send its body."""
    has_begun = False
    has_ended = False
    is_event_stream = False
    """Whether the answer that has begun is one of server-sent events, each written whole."""
    has_started = False
    """Whether the handler's task has had its first turn."""
    keeps_alive = False
    outlives_client = False
    turn: Trace | None = None
    relayed: Relayed | None = None
    """Who answers it without a task."""
    task: asyncio.Task[None] | None = None
    _gone: asyncio.Future[None] | None = None
    _head = b""
    _is_chunked = False
    _left: int | None = None

    def __init__(self, line: Line, request: Request, body: Body | bytes) -> None:
        self.request = request
        self.method = request.method
        self.path = request.path
        self.headers: Headers = request.headers
        self._body = body
        self._line: Line | None = line
        self._origin = line
        if request.expects_continue:
            self.expects_continue = bool(body)

    @property
    def query(self) -> bytes:
        return self.request.query

    @property
    def scheme(self) -> str:
        return self._origin.scheme

    @property
    def peer(self) -> tuple[str, int]:
        return self._origin.peer

    @property
    def is_client_gone(self) -> bool:
        return self._line is None

    async def body(self, limit: int) -> bytes:
        """See `gateway.http.Exchange`, as for all that follows."""
        body = self._body
        if isinstance(body, bytes):
            if len(body) > limit:
                raise too_large(limit)
            return body
        return await body.whole(limit)

    async def read(self) -> bytes:
        body = self._body
        if isinstance(body, bytes):
            self._body = b""
            return body
        return await body.piece()

    @property
    def has_whole_body(self) -> bool:
        """Whether the body came together with the head."""
        return isinstance(self._body, bytes)

    @property
    def whole_body(self) -> bytes | None:
        """The body, if all of it is here already."""
        if isinstance(self._body, Body):
            whole = self._body.taken_whole()
            if whole is None:
                return None
            self._body = whole
        return self._body

    def call_with_body(self, callback: Callable[[], None], most_bytes: int) -> bool:
        """Call this when the body is here, or will not come.

        False: it is here already, or may be longer than that.
        """
        body = self._body
        if isinstance(body, bytes) or body.is_complete:
            return False
        to_come = body.still_to_come
        if to_come is None or to_come + body.has_arrived > most_bytes:
            return False
        body.call_at_end(callback)
        return True

    def push(self, data: bytes) -> bool:
        """`write` without waiting. False: the client is slow, so wait for `writable` first."""
        line = self._line
        if line is not None and data and not self._is_hidden:
            line.send(self._framed(data))
            return not line.is_write_paused
        return True

    @property
    def takes_chunks(self) -> bool:
        """Whether the answer that has begun goes out in chunks, and its head has gone out."""
        return self._is_chunked and not self._head

    def push_chunks(self, chunks: bytes) -> bool:
        """`push` of data that stand in their chunks already, framing and all."""
        line = self._line
        if line is None:
            return True
        line.send(chunks)
        return not line.is_write_paused

    def respond_ready(self, lines: bytes, body: bytes, status: int = 200) -> None:
        """`respond` with header lines that are written already, each with its line end."""
        self._check_fresh()
        self.has_begun = self.has_ended = True
        line = self._line
        if line is None:
            return
        ending = self._ending(line, b"content-length: %d\r\n" % len(body))
        line.send(b"%b%b%b%b" % (status_line(status), lines, ending, body))
        self._finish(line)

    def begin_ready(self, lines: bytes) -> None:
        """`begin` an event stream with header lines that are written already."""
        self._check_fresh()
        self.has_begun = self.is_event_stream = True
        line = self._line
        if line is None:
            return
        self._is_chunked = self.request.is_http_1_1
        framing = _CHUNKED if self._is_chunked else b""
        ending = self._ending(line, framing, is_unframed=not self._is_chunked)
        self._head = b"%b%b%b" % (status_line(200), lines, ending)

    def hand_over(self) -> None:
        """What was relayed goes the ordinary way after all."""
        self.relayed = None
        if self._line is not None:
            self._line.hand_over(self)

    async def writable(self) -> None:
        """Wait until the client has taken enough of what was sent."""
        if self._line is not None:
            await self._line.writable()

    async def gone(self) -> None:
        if self._line is None or self.has_ended:
            return
        if self._gone is None:
            self._gone = asyncio.get_running_loop().create_future()
        # Several may wait, and one that is cancelled must not end it for the others.
        await asyncio.shield(self._gone)

    def respond(self, status: int, headers: HeaderList, body: bytes) -> None:
        self._check_fresh()
        line = self._line
        if line is None:
            self.has_begun = self.has_ended = True
            return
        if has_no_body(status):
            framing = body = b""
        else:
            framing = b"content-length: %d\r\n" % len(body)
        head = response_head(status, headers, self._ending(line, framing))
        self.has_begun = self.has_ended = True
        line.send(head if self.method == "HEAD" else head + body)
        self._finish(line)

    def begin(self, status: int, headers: HeaderList, *, length: int | None = None) -> None:
        self._check_fresh()
        line = self._line
        if line is not None:
            framing = b""
            if length is not None and not has_no_body(status):
                framing = b"content-length: %d\r\n" % length
            if self.method == "HEAD" or has_no_body(status):
                length = 0
            elif length is None and self.request.is_http_1_1:
                framing = _CHUNKED
                self._is_chunked = True
            self._left = length
            is_unframed = length is None and not self._is_chunked
            ending = self._ending(line, framing, is_unframed=is_unframed)
            self._head = response_head(status, headers, ending)
            self.is_event_stream = any(value.startswith(_EVENT_STREAM) for _, value in headers)
        self.has_begun = True

    async def write(self, data: bytes) -> None:
        line = self._line
        if line is None:
            # Dropped. A handler that writes in a loop must still let others, and its own
            # cancellation, have their turn.
            await asyncio.sleep(0)
        elif data and not self._is_hidden:
            line.send(self._framed(data))
            if line.is_write_paused:
                await line.writable()

    def end(self, data: bytes = b"") -> None:
        if self.has_ended:
            return
        line = self._line
        self.has_ended = True
        if line is None:
            return
        if self._is_hidden:
            last, self._head = self._head, b""
        else:
            last = self._framed(data)
        if self._is_chunked:
            last += _LAST_CHUNK
        if last:
            line.send(last)
        if self._left and not self._is_hidden:
            line.abort()  # fewer bytes than were promised
        else:
            self._finish(line)

    def abort(self) -> None:
        """Break off an answer that has begun and cannot be ended."""
        if self._line is not None:
            self._line.abort()

    def client_left(self) -> None:
        """The connection is no more."""
        self._line = None
        if isinstance(self._body, Body):
            self._body.fail(ClientGone())
        self._settle_gone()
        if self.relayed is not None:
            self.relayed.client_left()
        if self.task is not None and not self.has_ended and not self.outlives_client:
            self.task.cancel()

    @property
    def _is_hidden(self) -> bool:
        """Whether the answer's body must not be sent."""
        return self.method == "HEAD"

    def _framed(self, data: bytes) -> bytes:
        """The data with its framing, and with the head if that has not been sent."""
        if self._left is not None:
            if len(data) > self._left:
                raise RuntimeError("the answer is longer than it said")
            self._left -= len(data)
        elif self._is_chunked and data:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        if self._head:
            data, self._head = self._head + data, b""
        return data

    def _ending(self, line: Line, framing: bytes, *, is_unframed: bool = False) -> bytes:
        """The server's own headers, and the empty line."""
        self.keeps_alive = not is_unframed and line.keeps_alive(self)
        if not self.keeps_alive:
            return b"%b%b%b\r\n" % (line.date, framing, _CLOSE)
        if not self.request.is_http_1_1:
            return b"%b%b%b\r\n" % (line.date, framing, _KEEP)
        return b"%b%b\r\n" % (line.date, framing)

    def _finish(self, line: Line) -> None:
        self._line = None
        if self._gone is not None:
            self._settle_gone()
        line.finished(self)

    def _settle_gone(self) -> None:
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)

    def _check_fresh(self) -> None:
        if self.has_begun:
            raise RuntimeError("the answer has begun already")
