"""An ordinary ASGI app behind the same port: for pages and administration, not for `/v1`.

Source: the ASGI specification, HTTP and WebSocket, 2.4. No lifespan, WebSockets or extensions.
"""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import unquote

from headrace.errors import HeadraceError
from headrace.gateway.http import ClientGone, Exchange

__all__ = ["AsgiApp", "AsgiPages"]

Message: TypeAlias = MutableMapping[str, Any]  # ASGI's own types
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
AsgiApp: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

_OURS = frozenset((b"connection", b"content-length", b"date", b"transfer-encoding"))
"""Headers that the server writes itself."""


class AsgiPages:
    """Lets an ASGI app answer exchanges."""

    def __init__(self, app: AsgiApp) -> None:
        self._app = app

    async def __call__(self, exchange: Exchange) -> None:
        exchange.outlives_client = True  # apps are told (`http.disconnect`), not cancelled
        channel = _Channel(exchange)
        try:
            await self._app(_scope(exchange), channel.receive, channel.send)
        except Exception:
            if not channel.has_failed:
                raise  # else it is what the app makes of a client that left (ClientDisconnect)
        channel.check()


def _scope(exchange: Exchange) -> Message:
    host, _, port = exchange.headers.get("host").rpartition(":")
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": exchange.method,
        "scheme": exchange.scheme,
        "path": unquote(exchange.path),
        "raw_path": exchange.path.encode(),
        "query_string": exchange.query,
        "root_path": "",
        "headers": list(exchange.headers.raw),
        "client": exchange.peer,
        "server": (host, int(port)) if host and port.isdigit() else None,
        "extensions": {},
    }


class _Channel:
    """One exchange as a pair of ASGI callables."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._is_body_read = False
        self._start: Message | None = None
        self._length: int | None = None
        self._has_ended = False
        self._failure: HeadraceError | None = None
        """Why the body cannot be had. The app sees a client that has left; the client is told."""

    async def receive(self) -> Message:
        if not self._is_body_read:
            try:
                piece = await self._exchange.read()
            except ClientGone:
                return {"type": "http.disconnect"}
            except HeadraceError as error:
                self._failure = error
                return {"type": "http.disconnect"}
            self._is_body_read = not piece
            return {"type": "http.request", "body": piece, "more_body": bool(piece)}
        await self._exchange.gone()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        if self._failure is not None:
            return
        if message["type"] == "http.response.start":
            if self._start is not None:
                raise RuntimeError("the app has begun its answer already")
            self._start = message
        elif message["type"] == "http.response.body":
            await self._send_body(message.get("body", b""), more=message.get("more_body", False))
        else:
            raise RuntimeError(f"the app sent {message['type']!r}, which is not supported")

    async def _send_body(self, body: bytes, *, more: bool) -> None:
        exchange = self._exchange
        if self._start is None or self._has_ended:
            raise RuntimeError("the app sent a body before its start or after its end")
        self._has_ended = not more
        if not exchange.has_begun:
            headers = self._headers(self._start)
            status = self._start["status"]
            if not more and self._length in (None, len(body)):
                exchange.respond(status, headers, body)
                return
            exchange.begin(status, headers, length=self._length)
        if more:
            await exchange.write(body)
        else:
            exchange.end(body)

    def _headers(self, start: Message) -> list[tuple[bytes, bytes]]:
        headers: list[tuple[bytes, bytes]] = []
        for name, value in start.get("headers", ()):
            name = name.lower()
            if name == b"content-length":
                self._length = int(value)
            elif name not in _OURS:
                headers.append((name, value))
        return headers

    @property
    def has_failed(self) -> bool:
        return self._failure is not None

    def check(self) -> None:
        """Raises what the client is to be told instead of the app's own words."""
        if self._failure is not None:
            raise self._failure
        if not self._has_ended:
            raise RuntimeError("the app has not ended its answer")
