"""One connection to a server: sends a request, hands the response to its sink, is used again.

Not covered: pipelining, `HEAD`, switching protocols.
"""

import asyncio
import ssl
from collections.abc import Callable
from enum import Enum
from typing import Protocol, cast

import httptools

from headrace.errors import ModelUnavailable
from headrace.models.errors import DeploymentTimeout
from headrace.models.http.decoding import Decoder, decoder_of
from headrace.models.http.exchange import Exchange
from headrace.models.http.framing import chunks_in, size_of
from headrace.models.http.head import Head
from headrace.models.http.peer import Peer

__all__ = ["Connection", "Owner"]

MAX_HEADER_BYTES = 64 * 1024
"""Bytes in a row that are no body: a head, trailers, chunk extensions."""
STALE_WITHIN_S = 1.0
"""A used connection that breaks off this soon was closed before it had read the request. Later,
the server had it, and died of it for all we know."""
NEVER = float("inf")
_CHUNKED_HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
"""Puts the parser to where a chunked body begins."""


class _Way(Enum):
    """Who reads the response that is coming in."""

    NOBODY_YET = 0
    PARSER = 1
    FRAMING = 2
    """Its head was known; its chunks come whole, so that only their sizes have to be read."""


_NOBODY_YET, _PARSER, _FRAMING = _Way


class Owner(Protocol):
    """Keeps connections: the pool."""

    def opened(self, connection: "Connection") -> None: ...

    def released(self, connection: "Connection") -> None:
        """It may serve another exchange."""
        ...

    def lost(self, connection: "Connection") -> None: ...

    def again(self, exchange: Exchange) -> None:
        """Send it once more, over another connection."""
        ...


class Connection(asyncio.Protocol):
    """Carries one exchange at a time."""

    def __init__(self, owner: Owner, peer: Peer) -> None:
        self.is_open = False
        self._is_lost = False
        self.opened_at = 0.0
        self.idle_since = 0.0
        self._owner = owner
        self._peer = peer
        self._loop = asyncio.get_running_loop()
        self.now: Callable[[], float] = self._loop.time
        self._transport: asyncio.Transport
        # Serves all responses of the connection: making one costs as much as a piece of body.
        self._parser = httptools.HttpResponseParser(self)
        self._exchange: Exchange | None = None
        self._way = _NOBODY_YET
        self._heads = peer.heads
        response_s = peer.timeouts.response_s
        self._response_s = NEVER if response_s is None else response_s
        self._was_used = False
        self._is_reading = True
        self._raw: list[tuple[bytes, bytes]] = []
        self._head: Head | None = None
        self._has_begun = False
        self._pieces: list[bytes] = []
        self._decoder: Decoder | None = None
        self._is_complete = False
        self._may_stay = False
        self._has_more = False
        """More came than was asked for: the connection is out of step."""
        self._idle_bytes = 0
        """Received since there was any body."""
        self._since = 0.0
        """When the wait that a time-out bounds began."""
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = NEVER

    # What asyncio calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's, so this cannot be asked at run time.
        self._transport = cast(asyncio.Transport, transport)
        self.is_open = True
        self.opened_at = self.now()
        self._owner.opened(self)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._is_lost:
            return
        self._is_lost = True
        self.is_open = False
        if self._timer is not None:
            self._timer.cancel()
        if self._exchange is not None:
            if exc is None and self._has_begun and self._ends_with_connection():
                self._is_complete = True
                self._finish(self._exchange)
            else:
                self._broke_off(self._exchange, exc)
        self._owner.lost(self)

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            # Nothing was asked: whatever this is, it must not become the next response.
            self.close()
        elif self._way is _FRAMING:
            self._since = self.now()
            self._unframe(exchange, data)
        elif self._way is _PARSER or not self._read_known(exchange, data):
            self._parse(exchange, data)

    def _read_known(self, exchange: Exchange, data: bytes) -> bool:
        """Read the beginning of a response whose head was seen before; False: it was not."""
        found = self._heads.find(data)
        if found is None:
            return False
        known, begin, length = found
        if not known.is_chunked and begin + length != len(data):
            return False
        self._has_begun = True
        self._head = known.head
        exchange.data = b""
        if known.is_chunked:
            self._way = _FRAMING
            self._since = self.now()
            if self._peer.timeouts.idle_s is not None:
                self._watch()
            exchange.sink.began(known.head)
            if begin < len(data) and self._exchange is exchange:
                self._unframe(exchange, data[begin:])
            return True
        exchange.sink.began(known.head)
        if length and self._exchange is exchange:
            exchange.sink.received(data[begin:])
        self._complete(exchange)
        return True

    def _unframe(self, exchange: Exchange, data: bytes) -> None:
        """Pass on chunks that came whole; the parser gets whatever is not so simple, and its rest."""
        begin = data.find(b"\r\n", 0, 20) + 2
        size = size_of(data[: begin - 2]) if begin > 1 else 0
        if size and begin + size + 2 == len(data) and data.endswith(b"\r\n"):
            on_chunks = exchange.on_chunks
            if on_chunks is None or not on_chunks(data, ((begin, begin + size),)):
                exchange.sink.received(data[begin:-2])
            return
        spans, at, is_last = chunks_in(data)
        if spans:
            on_chunks = exchange.on_chunks if at == len(data) else None
            if on_chunks is None or not on_chunks(data, spans):
                exchange.sink.received(b"".join([data[begin:end] for begin, end in spans]))
        if self._exchange is not exchange:
            return
        if is_last:
            self._complete(exchange)
        elif at < len(data):
            self._way = _PARSER
            self._parser.feed_data(_CHUNKED_HEAD)
            self._parse(exchange, data[at:])

    def _complete(self, exchange: Exchange) -> None:
        """All of a response is here that the parser has not seen."""
        if self._exchange is exchange:
            self._is_complete = self._may_stay = True
            self._finish(exchange)

    def _parse(self, exchange: Exchange, data: bytes) -> None:
        is_first, self._way = self._way is _NOBODY_YET, _PARSER
        failure: str | None = None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            failure = self._not_http(data, error)
        except httptools.HttpParserUpgrade:
            failure = "the server switches to another protocol"
        if self._has_begun:
            self._since = self.now()
        elif self._head is not None:
            if is_first and failure is None:
                self._heads.learn(data, self._head)
            self._begin(exchange, self._head)
        if self._pieces:
            self._deliver(exchange)
        elif not self._is_complete:
            self._idle_bytes += len(data)
            if self._idle_bytes > MAX_HEADER_BYTES:
                failure = "the server's response headers are larger than 64 KiB"
        if self._exchange is not exchange:
            return
        if failure is not None:
            self._fail(exchange, ModelUnavailable(self._said(failure)))
        elif self._is_complete:
            self._finish(exchange)

    # What the parser calls, from within `feed_data`.

    def on_message_begin(self) -> None:
        if self._is_complete:
            self._has_more = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head is None:
            self._raw.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self._head is None and status >= 200:
            self._head = Head(status, self._raw)

    def on_body(self, body: bytes) -> None:
        if not self._is_complete:
            self._pieces.append(body)

    def on_message_complete(self) -> None:
        if self._head is None:
            # An interim response (RFC 9110, section 15.2): the real one follows.
            self._raw = []
        elif not self._is_complete:
            self._is_complete = True
            # The parser knows only now: afterwards it is at the next message.
            self._may_stay = self._parser.should_keep_alive()

    # What the pool and the exchange call.

    def start(self, exchange: Exchange) -> None:
        """Send its request; from now on it is told what comes."""
        self._exchange = exchange
        exchange.carrier = self
        self._way = _NOBODY_YET
        self._raw = []
        self._head = None
        self._has_begun = False
        self._decoder = None
        self._is_complete = False
        self._idle_bytes = 0
        self._transport.write(exchange.data)
        self._since = since = self.now()
        if exchange.is_paused:
            self.set_paused(paused=True)
        if since + self._response_s < self._timer_at or exchange.deadline is not None:
            self._watch()

    def set_paused(self, *, paused: bool) -> None:
        if self.is_open and paused == self._is_reading:
            self._is_reading = not paused
            if paused:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()
                self._since = self.now()
                self._watch()

    def drop(self, exchange: Exchange) -> None:
        if self._exchange is exchange:
            self._exchange = None
            self.close()

    def close(self) -> None:
        if self.is_open:
            self.is_open = False
            self._transport.abort()

    def abandon(self) -> None:
        """Forget it: whoever opened it was cancelled as it had just been made.

        uvloop then closes its transport without a word, so this says it in its place.
        """
        if self.is_open:
            self.close()
            self.connection_lost(None)

    # A response on its way.

    def _begin(self, exchange: Exchange, head: Head) -> None:
        self._has_begun = True
        exchange.data = b""
        self._since = self.now()
        if head.status == 407 and self._peer.proxy is not None:
            self._fail(exchange, self._peer.proxy.refusal(407))
            return
        codings = head.first(b"content-encoding")
        if codings is not None:
            try:
                self._decoder = decoder_of(codings.decode("latin-1"))
            except ValueError as error:
                self._fail(exchange, ModelUnavailable(self._said(str(error))))
                return
            head.raw = [each for each in head.raw if each[0].lower() != b"content-encoding"]
        if self._peer.timeouts.idle_s is not None:
            self._watch()
        exchange.sink.began(head)

    def _deliver(self, exchange: Exchange) -> None:
        pieces = self._pieces
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        self._idle_bytes = 0
        if self._exchange is not exchange:
            return
        if self._decoder is not None:
            try:
                body = self._decoder.decode(body)
            except ValueError as error:
                self._fail(exchange, ModelUnavailable(self._said(str(error))))
                return
            if not body:
                return
        exchange.sink.received(body)

    def _finish(self, exchange: Exchange) -> None:
        if self._decoder is not None and not self._decoder.is_complete:
            self._fail(exchange, ModelUnavailable(self._said("the compressed body is cut off")))
            return
        self._exchange = None
        exchange.carrier = None
        self._was_used = True
        if (
            self.is_open
            and exchange.keep_alive
            and not self._has_more
            and self._may_stay
            # A server that answers before it has read the request will read its rest as another.
            and not self._transport.get_write_buffer_size()
        ):
            self.set_paused(paused=False)
            self._owner.released(self)
        else:
            self.close()
        exchange.sink.ended()

    def _fail(self, exchange: Exchange, error: ModelUnavailable) -> None:
        self._exchange = None
        exchange.carrier = None
        self.close()
        exchange.sink.failed(error)

    def _broke_off(self, exchange: Exchange, exc: Exception | None) -> None:
        heard_nothing = self._head is None and not self._raw and not self._idle_bytes
        if isinstance(exc, ssl.SSLError):
            self._fail(exchange, self._peer.tls_error(exc))
        elif (
            heard_nothing
            and self._was_used
            and exchange.resend
            and self.now() - self._since <= STALE_WITHIN_S
        ):
            self._exchange = None
            exchange.resend = False
            self._owner.again(exchange)
        else:
            # Of other kinds only the name: their text may hold what a sink was given.
            why = (exc.strerror or str(exc)) if isinstance(exc, OSError) else type(exc).__name__
            detail = f" ({why})" if exc is not None else ""
            self._fail(exchange, ModelUnavailable(self._said(f"the connection broke off{detail}")))

    def _said(self, what: str) -> str:
        how = "broke off" if self._has_begun else "did not answer"
        return f"the model server at {self._peer} {how}: {what}"

    def _ends_with_connection(self) -> bool:
        """Whether the body has no length of its own (RFC 9112, section 6.3)."""
        head = self._head
        return (
            head is not None
            and head.first(b"content-length") is None
            and head.first(b"transfer-encoding") is None
        )

    def _not_http(self, data: bytes, error: httptools.HttpParserError) -> str:
        if self._head is None and data[:2] == b"\x15\x03":
            return "it speaks TLS; its URL should begin with https://"
        return f"the server does not speak HTTP ({error})"

    # Time-outs: one timer a connection, set anew only where it would fire too late. Packets and
    # requests just note the time, so none of them pays for a timer of its own.

    def _due(self, exchange: Exchange) -> float:
        timeouts = self._peer.timeouts
        limit = timeouts.idle_s if self._has_begun else timeouts.response_s
        due = NEVER if limit is None or not self._is_reading else self._since + limit
        return due if exchange.deadline is None else min(due, exchange.deadline)

    def _watch(self) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        due = self._due(exchange)
        if due < self._timer_at:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(due, self._look)
            self._timer_at = due

    def _look(self) -> None:
        """Whether it is really time: the timer was set for what was due at some time before."""
        self._timer = None
        self._timer_at = NEVER
        exchange = self._exchange
        if exchange is None:
            return
        if self._due(exchange) > self.now():
            self._watch()
            return
        self._fail(exchange, self._timed_out(exchange))

    def _timed_out(self, exchange: Exchange) -> DeploymentTimeout:
        timeouts = self._peer.timeouts
        if exchange.deadline is not None and exchange.deadline <= self.now():
            what = "was not done by the request's deadline"
        elif self._has_begun:
            what = f"went silent in mid-answer for {timeouts.idle_s:g} s"
        else:
            what = f"did not begin to answer within {timeouts.response_s:g} s"
        return DeploymentTimeout(f"the model server at {self._peer} {what}")
