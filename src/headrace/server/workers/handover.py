"""Requests that another worker has to answer: handed over on a Unix socket, answer and all.

Which ones they are shows while they are read (`OwnedElsewhere`); nothing has been done for them by
then. What the owner sends goes on to the client as it comes; a client that leaves ends it there.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing

import msgspec

from headrace.errors import ModelUnavailable
from headrace.gateway.errors import error_body, status_of
from headrace.gateway.http import Exchange, HeaderList, Headers
from headrace.models.http.reply import Reply
from headrace.server.http1.server import Handler
from headrace.server.workers.conversation import OwnedElsewhere, Share, owned_turn_id
from headrace.server.workers.peer import LOOK_EVERY_S, Peers, never_taken
from headrace.telemetry.trace import Trace

__all__ = ["ORIGIN_HEADER", "WORKER_HEADER", "HandOver", "Origin", "arrived"]

WORKER_HEADER = b"x-headrace-worker"
ORIGIN_HEADER = b"x-headrace-origin"
WAIT_S = 10.0
"""How long a conversation waits for its owner to be started again."""
_RESPONSES = "/v1/responses"
_HOP = frozenset(
    (
        b"connection", b"content-length", b"expect", b"keep-alive", b"transfer-encoding",
        b"upgrade", ORIGIN_HEADER,
    )
)  # fmt: skip
_OURS = frozenset(("connection", "content-length", "date", "keep-alive", "transfer-encoding"))

_log = logging.getLogger(__name__)


class Origin(msgspec.Struct, frozen=True):
    """Where a request that was handed over came from."""

    scheme: str
    host: str
    port: int
    turn: str
    """The id that its turn gets, if it is one."""
    is_again: bool = False
    """Whether a predecessor of this worker may have had it already."""


class WorkerExchange:
    """An exchange that says which worker answers, and can be handed to another one."""

    __slots__ = (
        "_body", "_inner", "_mark", "_pieces", "headers", "method", "path", "peer", "query", "scheme",
    )  # fmt: skip

    def __init__(self, inner: Exchange, mark: tuple[bytes, bytes], origin: Origin | None) -> None:
        self._inner = inner
        self._mark = mark
        self._body: bytes | None = None
        self._pieces: list[bytes] = []
        self.method = inner.method
        self.path = inner.path
        self.query = inner.query
        self.headers = inner.headers
        self.scheme = inner.scheme
        self.peer = inner.peer
        if origin is not None:
            self.headers = Headers([each for each in inner.headers.raw if each[0] != ORIGIN_HEADER])
            self.scheme = origin.scheme
            self.peer = (origin.host, origin.port)

    @property
    def turn(self) -> Trace | None:
        return self._inner.turn

    @turn.setter
    def turn(self, turn: Trace | None) -> None:
        self._inner.turn = turn

    @property
    def outlives_client(self) -> bool:
        return self._inner.outlives_client

    @outlives_client.setter
    def outlives_client(self, outlives: bool) -> None:
        self._inner.outlives_client = outlives

    @property
    def has_begun(self) -> bool:
        return self._inner.has_begun

    @property
    def read_so_far(self) -> bytes:
        """The body, as far as it was read."""
        return b"".join(self._pieces) if self._body is None else self._body

    async def body(self, limit: int) -> bytes:
        self._body = await self._inner.body(limit)
        return self._body

    async def read(self) -> bytes:
        piece = await self._inner.read()
        self._pieces.append(piece)
        return piece

    async def gone(self) -> None:
        await self._inner.gone()

    def respond(self, status: int, headers: HeaderList, body: bytes) -> None:
        self._pieces.clear()
        self._inner.respond(status, [*headers, self._mark], body)

    def begin(self, status: int, headers: HeaderList, *, length: int | None = None) -> None:
        self._pieces.clear()
        self._inner.begin(status, [*headers, self._mark], length=length)

    async def write(self, data: bytes) -> None:
        await self._inner.write(data)

    def end(self, data: bytes = b"") -> None:
        self._inner.end(data)


class HandOver:
    """A handler around another: what that one cannot answer here goes to the worker that can."""

    def __init__(
        self, handler: Handler, peers: Peers, *, has_begun: Callable[[str], Awaitable[bool]]
    ) -> None:
        """
        Args:
            has_begun: whether a turn of that id was ever begun, by this worker or an earlier one.
        """
        self._handler = handler
        self._peers = peers
        self._has_begun = has_begun
        self._mark = (WORKER_HEADER, str(peers.slot).encode())

    async def __call__(self, exchange: Exchange) -> None:
        """Answer a client's request, here or there."""
        own = self._entered(exchange, None)
        try:
            await self._handler(own)
        except OwnedElsewhere as elsewhere:
            if exchange.has_begun:
                raise RuntimeError("a turn began in a conversation of another worker") from None
            exchange.outlives_client = False
            await self._hand_over(exchange, own, elsewhere.slot)

    async def answer_for(self, exchange: Exchange) -> None:
        """Answer a request that another worker has handed over."""
        origin = arrived(exchange)
        if origin is not None and origin.is_again and await self._has_begun(origin.turn):
            # Whoever had it died of it, or in the midst of it: it must not be answered twice.
            _refuse(exchange)
            return
        try:
            await self._handler(self._entered(exchange, origin))
        except OwnedElsewhere:
            raise RuntimeError(
                "a request was handed over to a worker that has no use for it"
            ) from None

    def _entered(self, exchange: Exchange, origin: Origin | None) -> WorkerExchange:
        if origin is not None:
            exchange.turn = Trace(id=origin.turn)
        elif exchange.path == _RESPONSES and exchange.turn is None:
            # A response that begins something new begins a conversation of its own name.
            exchange.turn = Trace(id=owned_turn_id(self._peers.share))
        return WorkerExchange(exchange, self._mark, origin)

    async def _hand_over(self, exchange: Exchange, own: WorkerExchange, slot: int) -> None:
        host, port = exchange.peer
        # Owned there, for a response that begins a conversation of its own name.
        turn = owned_turn_id(Share(slot, self._peers.share.workers))
        origin = Origin(exchange.scheme, host, port, turn)
        body = own.read_so_far
        loop = asyncio.get_running_loop()
        until = loop.time() + WAIT_S
        while True:
            request = _Forwarded(exchange, origin, body)
            try:
                async with self._peers.client(slot).request(
                    request.method,
                    request.target,
                    request.body,
                    headers=request.headers,
                    resend=False,
                ) as reply:
                    await _pass_on(reply, exchange)
                    return
            except ModelUnavailable as error:
                if exchange.has_begun:
                    raise
                if not never_taken(error):
                    origin = msgspec.structs.replace(origin, is_again=True)
                await asyncio.sleep(LOOK_EVERY_S)
                if not await self._peers.wait_for(slot, until - loop.time()):
                    _log.warning("worker %d, whose conversation it is, does not answer", slot)
                    _refuse(exchange)
                    return


class _Forwarded:
    """A request as it is sent to another worker."""

    def __init__(self, exchange: Exchange, origin: Origin, body: bytes) -> None:
        has_body = exchange.method in ("POST", "PUT", "PATCH")
        # What a HEAD leaves out, this worker's own server leaves out.
        self.method = "GET" if exchange.method == "HEAD" else exchange.method
        query = exchange.query.decode("latin-1")
        self.target = f"{exchange.path}?{query}" if query else exchange.path
        self.body = body if has_body else b""
        self.headers = [
            *(
                (name.decode("latin-1"), value.decode(errors="replace"))
                for name, value in exchange.headers.raw
                if name not in _HOP
            ),
            (ORIGIN_HEADER.decode(), msgspec.json.encode(origin).decode()),
        ]


def arrived(exchange: Exchange) -> Origin | None:
    """Where a request came from, if it was handed over."""
    said = exchange.headers.last.get(ORIGIN_HEADER)
    return None if said is None else msgspec.json.decode(said, type=Origin)


async def _pass_on(reply: Reply, exchange: Exchange) -> None:
    headers = [
        (name.encode("latin-1"), value.encode("latin-1"))
        for name, value in reply.headers.items()
        if name not in _OURS
    ]
    length = reply.headers.get("content-length")
    if length is not None:
        exchange.respond(reply.status, headers, await reply.read())
        return
    exchange.begin(reply.status, headers)
    async with aclosing(reply.chunks()) as chunks:
        async for chunk in chunks:
            await exchange.write(chunk)
    exchange.end()


def _refuse(exchange: Exchange) -> None:
    error = ModelUnavailable(
        "the worker that keeps this conversation has ended, and is being started again",
        hint="try again in a few seconds",
    )
    headers = [(b"content-type", b"application/json"), (b"retry-after", b"2")]
    exchange.respond(status_of(error), headers, error_body(error))
