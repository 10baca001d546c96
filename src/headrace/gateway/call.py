"""One HTTP request on its way: who asks, its body, and how it is answered."""

from collections.abc import Coroutine, Sequence
from functools import cached_property
from typing import TypeAlias

from headrace.access.principal import Principal
from headrace.errors import HeadraceError, Unauthenticated
from headrace.gateway.errors import error_body, status_of
from headrace.gateway.http import (
    Headers,
    Receive,
    Scope,
    Send,
    headers_of,
    read_body,
    send_body,
    until_gone,
)
from headrace.ids import new_id
from headrace.pipeline.service import Platform, Service
from headrace.telemetry.trace import Trace

__all__ = ["Call"]

HeaderList: TypeAlias = Sequence[tuple[bytes, bytes]]

_EVENT_STREAM: HeaderList = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    # Proxies that collect a response before passing it on would undo the streaming.
    (b"x-accel-buffering", b"no"),
)


class Call:
    """A request and its answer. The service is the one that was loaded when the request came."""

    def __init__(self, platform: Platform, scope: Scope, receive: Receive, send: Send) -> None:
        self.platform = platform
        self.service: Service = platform.service
        self.id = new_id()
        """The request's id; of a request with one turn it is the turn's and the trace's too."""
        self._scope = scope
        self._receive = receive
        self._send = send
        self._principal: Principal | None = None
        self._begun = False
        self._has_trace = False

    @cached_property
    def headers(self) -> Headers:
        return headers_of(self._scope)

    @property
    def method(self) -> str:
        return str(self._scope["method"])

    @property
    def path(self) -> str:
        return str(self._scope["path"])

    @property
    def has_begun(self) -> bool:
        """Whether anything of the answer has been sent: then its status cannot change any more."""
        return self._begun

    @property
    def principal(self) -> Principal:
        """Who asks, once `authenticate` has been called."""
        assert self._principal is not None
        return self._principal

    def authenticate(self) -> None:
        """Find out who asks, by the key.

        Raises:
            Unauthenticated: no key, or none that is valid.
        """
        shown = self._shown_key()
        if not shown:
            raise Unauthenticated(
                "no API key was sent",
                hint="send the header `authorization: Bearer hr-…`; "
                "`headrace keys create` makes a key",
            )
        principal = self.platform.keys.authenticate(shown)
        if principal is None:
            # Never a part of what was sent: it may be another service's real key.
            raise Unauthenticated(
                "the API key is not valid (any more)",
                hint="`headrace keys list` shows this service's keys",
            )
        self._principal = principal

    def _shown_key(self) -> str:
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return token.strip()
        return self.headers.get("x-api-key", "").strip()

    async def body(self) -> bytes:
        """The whole body, within `server.max_body_bytes`."""
        limit = self.service.config.server.max_body_bytes
        return await read_body(self._scope, self._receive, limit)

    async def while_connected(self, work: Coroutine[object, object, None]) -> None:
        """Do the work, but cancel it when the client goes away. The body must have been read."""
        await until_gone(self._receive, work)

    async def respond(self, body: bytes, headers: HeaderList = (), *, status: int = 200) -> None:
        """Send a whole answer; JSON unless the headers say otherwise."""
        self._begun = True
        await send_body(self._send, status, body, (*headers, *self._common()))

    async def refuse(self, error: HeadraceError) -> None:
        """Send an error as the whole answer."""
        headers: list[tuple[bytes, bytes]] = []
        if isinstance(error, Unauthenticated):
            headers.append((b"www-authenticate", b"Bearer"))
        await self.respond(error_body(error), headers, status=status_of(error))

    async def write(self, data: bytes) -> None:
        """Send a piece of a stream of server-sent events; the first one opens the stream."""
        if not self._begun:
            self._begun = True
            headers = [*_EVENT_STREAM, *self._common()]
            await self._send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self) -> None:
        """End the stream."""
        await self._send({"type": "http.response.body", "body": b""})

    def trace(self) -> Trace:
        """The trace of this request's turn, under the request's own id."""
        self._has_trace = True
        return Trace(id=self.id)

    def _common(self) -> HeaderList:
        headers = [(b"x-request-id", self.id.encode())]
        if self._has_trace:
            headers.append((b"x-headrace-trace", self.id.encode()))
        if self._principal is not None:
            headers.append((b"x-headrace-release", self.service.release.encode()))
        return headers
