"""One HTTP request on its way: who asks, its body, and how it is answered."""

import math
from collections.abc import Coroutine

from headrace.access.principal import Principal
from headrace.errors import HeadraceError, Unauthenticated
from headrace.gateway.errors import MethodNotAllowed
from headrace.gateway.http import Exchange, HeaderList, Headers
from headrace.gateway.shown import shown_to
from headrace.gateway.surface import OPENAI, Surface
from headrace.ids import new_id
from headrace.pipeline.service import Platform, Service
from headrace.pipeline.turn import Turn
from headrace.telemetry.trace import Trace

__all__ = ["Call"]

_JSON = (b"content-type", b"application/json")
_EVENT_STREAM: HeaderList = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    # Proxies that collect a response before passing it on would undo the streaming.
    (b"x-accel-buffering", b"no"),
)


class Call:
    """A request and its answer. The service is the one that was loaded when the request came."""

    def __init__(self, platform: Platform, exchange: Exchange) -> None:
        self.platform = platform
        self.service: Service = platform.service
        self.id = exchange.turn.id if exchange.turn is not None else new_id()
        """The request's id; of a request with one turn it is the turn's and the trace's too."""
        self.surface: Surface = OPENAI
        """Whose API the client speaks: says how errors look."""
        self.method = exchange.method
        self.path = exchange.path
        """As it was sent, still escaped."""
        self.query = exchange.query
        """What follows the `?`, still escaped."""
        self.headers: Headers = exchange.headers
        self._exchange = exchange
        self._principal: Principal | None = None
        self._trace: Trace | None = None

    @property
    def has_begun(self) -> bool:
        """Whether anything of the answer has been sent: then its status cannot change any more."""
        return self._exchange.has_begun

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

    def act_as(self, principal: Principal) -> None:
        """Answer as somebody who has shown their key before."""
        self._principal = principal

    def settle(self, subject: str) -> None:
        """Choose who answers where a release is on trial: a person always has the same one."""
        candidate = self.platform.candidate
        if (
            candidate is not None
            and candidate.shadow is None
            and candidate.takes(subject or self.id)
        ):
            self.service = candidate.service

    def shadow(self, turn: Turn, subject: str) -> None:
        """Have a release that answers in the shadow follow the turn, if it gets this person's."""
        candidate = self.platform.candidate
        if candidate is None or candidate.shadow is None or self.gives_way:
            return
        if candidate.takes(subject or self.id):
            candidate.shadow.follow(turn)

    def _shown_key(self) -> str:
        scheme, _, token = self.headers.get("authorization").partition(" ")
        if scheme.lower() == "bearer":
            return token.strip()
        return self.headers.get("x-api-key").strip()

    async def body(self) -> bytes:
        """The whole body, within `server.max_body_bytes`."""
        return await self._exchange.body(self.service.config.server.max_body_bytes)

    async def read(self) -> bytes:
        """The next piece of a body that may be larger; empty at its end."""
        return await self._exchange.read()

    @property
    def gives_way(self) -> bool:
        """Whether live requests go first: it is a row of a batch."""
        return getattr(self._exchange, "gives_way", False)

    async def while_connected(self, work: Coroutine[object, object, None]) -> None:
        """Do the work. (When the client goes away, the whole request is cancelled.)"""
        await work

    async def respond(self, body: bytes, headers: HeaderList = (), *, status: int = 200) -> None:
        """Send a whole answer; JSON unless the headers say otherwise."""
        given = headers if _says_type(headers) else (_JSON, *headers)
        self._exchange.respond(status, [*given, *self._common()], body)

    async def refuse(self, error: HeadraceError) -> None:
        """Send an error as the whole answer."""
        error = self.shown(error)
        headers: list[tuple[bytes, bytes]] = []
        if isinstance(error, Unauthenticated):
            headers.append((b"www-authenticate", b"Bearer"))
        if isinstance(error, MethodNotAllowed) and error.allowed:
            headers.append((b"allow", ", ".join(error.allowed).encode()))
        if (wait_s := getattr(error, "retry_after_s", None)) is not None:
            headers.append((b"retry-after", str(max(1, math.ceil(wait_s))).encode()))
        surface = self.surface
        body = surface.error_body(error, self.id)
        await self.respond(body, headers, status=surface.status_of(error))

    def shown(self, error: HeadraceError) -> HeadraceError:
        """The error in the words that this client may read."""
        return shown_to(self._principal, error, self.id)

    async def write(self, data: bytes) -> None:
        """Send a piece of a stream of server-sent events; the first one opens the stream."""
        self._open()
        await self._exchange.write(data)

    def begin(self, headers: HeaderList, *, length: int) -> None:
        """Begin an answer of a known length that `write` and `end` send in pieces."""
        self._exchange.begin(200, [*headers, *self._common()], length=length)

    async def end(self, data: bytes = b"") -> None:
        """End the stream, with a last piece."""
        self._open()
        self._exchange.end(data)

    def _open(self) -> None:
        if not self._exchange.has_begun:
            self._exchange.begin(200, [*_EVENT_STREAM, *self._common()])

    def trace(self) -> Trace:
        """The trace of this request's turn, under the request's own id."""
        self._trace = self._exchange.turn or Trace(id=self.id)
        return self._trace

    def _common(self) -> HeaderList:
        identity = self.id.encode()
        headers = [(b"x-request-id", identity), *self.surface.headers(self.id)]
        trace, principal = self._trace, self._principal
        if trace is not None:
            headers.append((b"x-headrace-trace", identity))
            if principal is not None:
                headers += self.platform.limiter.headers(principal, trace.model)
            headers += _cached(trace)
        if principal is not None:
            headers.append((b"x-headrace-release", self.service.release.encode()))
        return headers


def _cached(trace: Trace) -> HeaderList:
    """Whether the answer was kept from an earlier request, where any are kept."""
    generate = next((each for each in reversed(trace.spans) if each.name == "generate"), None)
    result = None if generate is None else generate.attributes.get("headrace.cache.result")
    if result not in ("hit", "semantic", "miss"):
        return ()
    return ((b"x-headrace-cache", str(result).encode()),)


def _says_type(headers: HeaderList) -> bool:
    return any(name == b"content-type" for name, _ in headers)
