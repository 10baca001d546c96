"""One client's connection: what it sends, in which order it is answered, and when it ends.

Requests are answered one after the other. What a client sends beyond the one being answered stays
unread bytes, `READ_AHEAD_BYTES` at most, so pipelining costs no memory and needs no queue.

Who only shuts down its writing side still gets its answer, who closes does not; both look the same
until something is sent. So when the end of a client's bytes is seen, something that it must skip is
sent: an interim answer (`100 Continue`) where nothing of the answer has gone out yet, a comment in
an event stream. A socket that is closed replies with a reset, and the kernel says so a moment later.
"""

import asyncio
import math
from typing import cast

from headrace.errors import HeadraceError
from headrace.server.http1.body import Body, BodyClock
from headrace.server.http1.errors import MalformedRequest, RequestTimeout, TooManyConnections
from headrace.server.http1.exchange import HttpExchange
from headrace.server.http1.host import Host
from headrace.server.http1.limits import (
    DISCARD_BYTES,
    LINGER_BYTES,
    LINGER_S,
    MIN_BODY_BYTES_PER_S,
)
from headrace.server.http1.outflow import Outflow, is_closed
from headrace.server.http1.request import HeadReader
from headrace.server.http1.response import last_response
from headrace.server.http1.unread import Unread, skip_empty_lines

__all__ = ["Connection"]

_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_COMMENT = b":\n\n"
"""Every reader of server-sent events must skip it (WHATWG HTML, 9.2.6)."""
_FRESH_S = 0.5
"""How long a client that has only just connected may take when the server stops."""
_LOOK_AFTER_S = 0.05
"""How long after an interim answer a closed client's reset is there; a network's round trip."""


class Connection(asyncio.Protocol):
    """A client, from its connecting to its end."""

    __slots__ = (
        "_body", "_clock", "_closing", "_discarded", "_eof", "_exchange", "_has_asked", "_heads",
        "_host", "_is_broken", "_is_reading_paused", "_is_starting", "_outflow", "_transport", "_unread",
        "deadline", "peer", "scheme",
    )  # fmt: skip

    _outflow: Outflow
    _transport: asyncio.Transport

    def __init__(self, host: Host, scheme: str) -> None:
        self._host = host
        self.scheme = scheme
        self.peer = ("", 0)
        self.deadline = math.inf
        """When the client must have done what it is expected to."""
        self._exchange: HttpExchange | None = None
        self._body: Body | None = None
        """A body that is still arriving; without an exchange it is being thrown away."""
        self._heads = HeadReader()
        self._unread = Unread()
        self._has_asked = False
        self._is_starting = False
        self._closing = False
        self._eof = False
        self._is_broken = False
        """Nothing that comes now can be understood as a request any more."""
        self._is_reading_paused = False
        self._discarded = 0
        self._clock = BodyClock()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are no subclasses
        self._outflow = Outflow(self._transport, self._host.limits.write_timeout_s)
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            self.peer = (str(peer[0]), int(peer[1]))
        host = self._host
        host.connections.add(self)
        self.deadline = host.now() + host.limits.header_timeout_s
        if len(host.connections) > 2 * host.limits.connections:
            self.abort()  # so many that even refusing them in words would be too much
        elif len(host.connections) > host.limits.connections:
            self._refuse(TooManyConnections.beyond(host.limits.connections))

    def data_received(self, data: bytes) -> None:
        if self._closing:
            self._discard(data)
            return
        if self._body is not None:
            data = self._feed(self._body, data)
            if not data:
                return
        # A client that does not read its answers gets no more of them.
        if self._exchange is not None or self._outflow.is_paused:
            self._unread.add(data)
            if self._unread.is_full:
                self._pause_reading()
        elif self._unread:
            self._unread.add(data)
            if self._unread.is_readable(len(data)):
                self._next()
            else:
                self._check_beginning()
        else:
            self._advance(data)

    def eof_received(self) -> bool:
        """True keeps the writing side open."""
        self._eof = True
        is_idle = self._exchange is None and not self._outflow.is_paused
        if self._closing or is_idle or self._body is not None:
            return False
        if self.scheme == "https":
            return False  # TLS has no half of a connection
        self._probe()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._closing = True
        self._host.connections.discard(self)
        self._outflow.wake()
        exchange, self._exchange, self._body = self._exchange, None, None
        if exchange is not None:
            exchange.client_left()
            if not exchange.has_started and exchange.task is not None:
                self._host.forget(exchange.task)  # cancelled before its first turn, it never runs
        self._host.left()

    def pause_writing(self) -> None:
        self._outflow.pause(self._host.now())

    def resume_writing(self) -> None:
        self._outflow.resume()
        self._go_on()

    # What the server calls.

    def tick(self, now: float) -> None:
        """Look whether the client is over its time."""
        if self._outflow.is_stuck(now):
            self.abort()
            return
        if self._eof and not self._closing:
            self._look_if_gone()
        if now >= self.deadline:
            self._overdue()

    def drain(self) -> None:
        """The server stops: end the connection if nothing is under way on it."""
        if self._exchange is not None or self._unread or self._closing:
            return
        if self._has_asked:
            self._close()
        else:  # it has just connected, and its request may be a moment away
            self.deadline = min(self.deadline, self._host.now() + _FRESH_S)

    def cut(self) -> None:
        """What is relayed here ends now."""
        if self._exchange is not None and self._exchange.relayed is not None:
            self._exchange.relayed.cut()

    def abort(self) -> None:
        """Break off at once."""
        self._closing = True
        self._transport.abort()

    # What its exchange calls.

    @property
    def date(self) -> bytes:
        return self._host.date

    def send(self, data: bytes) -> None:
        if not self._closing:
            self._transport.write(data)

    def keeps_alive(self, exchange: HttpExchange) -> bool:
        if (
            not exchange.request.keeps_alive
            or self._host.is_draining
            or self._is_broken
            or (self._eof and not self._unread)
        ):
            return False
        if self._body is None:
            return True
        # Who still waits for `100 Continue` may send its body or leave it: nobody could tell.
        return not exchange.expects_continue and (self._body.still_to_come or 0) <= DISCARD_BYTES

    @property
    def is_write_paused(self) -> bool:
        return self._outflow.is_paused or self._transport.is_closing()

    async def writable(self) -> None:
        while self._outflow.is_paused and not self._closing:
            await self._outflow.wait()
        if self._transport.is_closing():
            await asyncio.sleep(0)  # it has failed just now; the event loop is about to say so

    def hand_over(self, exchange: HttpExchange) -> None:
        exchange.task = self._host.run(exchange)

    def finished(self, exchange: HttpExchange) -> None:
        self._exchange = None
        if not exchange.keeps_alive or self._is_broken or self._host.is_draining:
            self._close()
        elif self._body is not None:
            self._body.discard()
            self._discarded = 0
            self.deadline = self._host.now() + self._host.limits.body_timeout_s
            self._resume_reading()
        elif self._is_starting:
            # Answered within `_advance`: going on from here would nest as deep as a client pipelines.
            asyncio.get_running_loop().call_soon(self._go_on)
        else:
            self._next()

    # Reading requests.

    def _go_on(self) -> None:
        if self._exchange is None and self._body is None and not self._closing:
            self._next()

    def _next(self) -> None:
        """Go on with what has come beyond the last request, or wait for more."""
        if self._outflow.is_paused:
            return
        if self._is_reading_paused:
            self._resume_reading()
        if self._unread:
            self._advance(self._unread.take())
        elif self._eof:
            self._close()
        else:
            self.deadline = self._host.now() + self._host.limits.idle_timeout_s

    def _advance(self, data: bytes) -> None:
        """Begin the next request, if its head is whole."""
        data = skip_empty_lines(data)
        end = data.find(b"\r\n\r\n") + 4
        if end == 3:
            self._wait_for_head(data)
            return
        try:
            request, length = self._heads.read(data[:end], self._host.limits)
        except HeadraceError as error:
            self._refuse(error)
            return
        rest = data[end:]
        body: bytes | Body = b""
        if request.is_chunked or length > len(rest):
            self._body = body = Body(
                None if request.is_chunked else length,
                on_wanted=self._wanted,
                on_taken=self._taken,
            )
            self._clock = BodyClock(self._host.limits.body_timeout_s)
        elif length:
            body, rest = rest[:length], rest[length:]
        self.deadline = math.inf
        self._has_asked = True
        self._exchange = exchange = HttpExchange(self, request, body)
        if rest and self._body is not None:
            rest = self._feed(self._body, rest)
        if rest:
            self._unread.add(rest)
        # Last, because it may be answered at once.
        self._is_starting = True
        task = self._host.start(exchange)
        if task is not None:  # None also for one that was relayed and handed over at once
            exchange.task = task
        self._is_starting = False

    def _wait_for_head(self, data: bytes) -> None:
        if self._eof:
            self._close()
            return
        if data:
            self._unread.add(data)
            self.deadline = self._host.now() + self._host.limits.header_timeout_s
            self._check_beginning()
        elif self.deadline == math.inf:
            self.deadline = self._host.now() + self._host.limits.idle_timeout_s

    def _check_beginning(self) -> None:
        try:
            self._unread.check(self._host.limits)
        except HeadraceError as error:
            self._refuse(error)

    # Reading bodies.

    def _feed(self, body: Body, data: bytes) -> bytes:
        """Give the body what belongs to it; gives what follows."""
        before = body.has_arrived
        try:
            rest = body.feed(data)
        except MalformedRequest as error:
            self._break(error)
            return b""
        if self._exchange is None:
            return self._discarded_body(body, data, rest)
        if body.is_complete:
            self._body = None
            self.deadline = math.inf
            return rest
        self._clock.grant((body.has_arrived - before) / MIN_BODY_BYTES_PER_S)
        if body.is_awaited:
            self.deadline = self._clock.deadline
        if body.is_full:
            self._pause_reading()
        return rest

    def _discarded_body(self, body: Body, data: bytes, rest: bytes) -> bytes:
        body.discard()
        self._discarded += len(data)
        if body.is_complete:
            self._body = None
            self.deadline = self._host.now() + self._host.limits.idle_timeout_s
            return rest
        if self._discarded > DISCARD_BYTES:
            self._close()
        return b""

    def _wanted(self) -> None:
        """Somebody waits for the body: only from now on the client has to send it."""
        exchange = self._exchange
        if exchange is None:
            return
        if exchange.expects_continue:
            exchange.expects_continue = False
            if self._body is not None and not self._body.has_arrived and not exchange.has_begun:
                self._transport.write(_CONTINUE)
        self._clock.run(self._host.now())
        self.deadline = self._clock.deadline
        self._resume_reading()

    def _taken(self) -> None:
        self._clock.stop(self._host.now())
        if self._body is not None:
            self.deadline = math.inf
            self._resume_reading()

    def _break(self, error: HeadraceError) -> None:
        """The body cannot be understood, or does not come: whoever reads it learns why."""
        body, self._body = self._body, None
        self._is_broken = True
        self.deadline = math.inf
        self._pause_reading()
        if self._exchange is None:
            self._close()
        elif body is not None:
            body.fail(error)

    # Ending.

    def _overdue(self) -> None:
        limits = self._host.limits
        if self._closing:
            self.abort()
        elif self._body is not None and self._exchange is not None:
            self._break(RequestTimeout.of_body(limits.body_timeout_s))
        elif self._body is None and self._unread:
            self._refuse(RequestTimeout.of_head(limits.header_timeout_s))
        else:
            self._close()

    def _refuse(self, error: HeadraceError) -> None:
        """Say why there is no answer, and end the connection."""
        status, body = self._host.render(error)
        self._transport.write(last_response(status, body, self.date))
        self._is_broken = True
        self._close()

    def _close(self) -> None:
        """End the connection once everything is sent; listen on for a while if bytes may come."""
        self._closing = True
        lingers = self._body is not None or self._is_broken or self._is_reading_paused
        if self._eof or not lingers:
            self.deadline = self._host.now() + self._host.limits.write_timeout_s
            self._transport.close()
            return
        self._body = None
        self.deadline = self._host.now() + LINGER_S
        self._discarded = 0
        self._resume_reading()
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def _discard(self, data: bytes) -> None:
        self._discarded += len(data)
        if self._discarded > LINGER_BYTES:
            self.abort()

    # Clients that have closed.

    def _probe(self) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        if not exchange.has_begun:
            if exchange.request.is_http_1_1:
                self._transport.write(_CONTINUE)
        elif exchange.is_event_stream:
            exchange.push(_COMMENT)
        asyncio.get_running_loop().call_later(_LOOK_AFTER_S, self._look_if_gone)

    def _look_if_gone(self) -> None:
        if not self._closing and is_closed(self._transport):
            self.abort()

    def _pause_reading(self) -> None:
        if not self._is_reading_paused and not self._transport.is_closing() and not self._eof:
            self._is_reading_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        if self._is_reading_paused and not self._transport.is_closing():
            self._is_reading_paused = False
            self._transport.resume_reading()
