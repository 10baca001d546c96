"""What the endpoints need of HTTP: one request and the way to its answer.

The server has the only real `Exchange` (server/http1/exchange.py); the gateway never sees sockets.
"""

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeAlias

from headrace.telemetry.trace import Trace

__all__ = ["ClientGone", "Exchange", "HeaderList", "Headers", "RelayExchange", "Relayed"]

HeaderList: TypeAlias = Sequence[tuple[bytes, bytes]]
"""Names in lower case."""


class ClientGone(Exception):
    """The client closed the connection before its request was whole."""


class Headers:
    """Request headers by name in lower case; of repeated ones the last. Decoded when asked for."""

    __slots__ = ("key_digest", "last", "raw")

    def __init__(self, raw: HeaderList) -> None:
        self.raw = raw
        """All of them as they came, names in lower case."""
        self.last = dict(raw)
        self.key_digest: bytes | None = None
        """Of the API key, once somebody has worked it out: requests of one head share it."""

    def get(self, name: str, default: str = "") -> str:
        value = self.last.get(name.encode())
        return default if value is None else value.decode("latin-1")

    def __getitem__(self, name: str) -> str:
        return self.last[name.encode()].decode("latin-1")

    def __contains__(self, name: str) -> bool:
        return name.encode() in self.last

    def __iter__(self) -> Iterator[str]:
        return (name.decode("latin-1") for name in self.last)


class Relayed(Protocol):
    """Who answers an exchange without a task of its own."""

    def client_left(self) -> None:
        """Nobody is there any more to answer."""
        ...

    def cut(self) -> None:
        """The service stops, and has waited long enough."""
        ...


class Exchange(Protocol):
    """One request and its answer: `respond` once, or `begin`, `write` and `end`.

    When the client goes away, the task that handles the exchange is cancelled, unless
    `outlives_client` was set; what is sent afterwards is dropped without an error.
    """

    turn: Trace | None
    """The turn's trace, if it has begun already."""
    outlives_client: bool
    """Set it to go on without the client: `gone` then tells when it left."""

    @property
    def method(self) -> str: ...

    @property
    def path(self) -> str:
        """As it was sent, escapes and all; it holds no `//`, `.` or `..` segments."""
        ...

    @property
    def query(self) -> bytes:
        """What follows the `?`, without it."""
        ...

    @property
    def headers(self) -> Headers: ...

    @property
    def scheme(self) -> str:
        """`http` or `https`."""
        ...

    @property
    def peer(self) -> tuple[str, int]:
        """Address and port of whoever is connected: the client, or the last proxy."""
        ...

    @property
    def has_begun(self) -> bool:
        """Whether anything of the answer has been sent: then its status cannot change any more."""
        ...

    async def body(self, limit: int) -> bytes:
        """The whole body.

        Raises:
            PayloadTooLarge: more than `limit` bytes, known from the header or counted.
            ClientGone: the connection closed first.
            HeadraceError: it is malformed, or does not come in time.
        """
        ...

    async def read(self) -> bytes:
        """The next piece of the body; empty at its end. Raises as `body`, but for the limit."""
        ...

    async def gone(self) -> None:
        """Wait until the client has gone, or the answer is complete."""
        ...

    def respond(self, status: int, headers: HeaderList, body: bytes) -> None:
        """Send a whole answer; its length is added to the headers."""
        ...

    def begin(self, status: int, headers: HeaderList, *, length: int | None = None) -> None:
        """Begin an answer that comes in pieces; its head goes out with the first of them."""
        ...

    async def write(self, data: bytes) -> None:
        """Send a piece; waits only while the client is slower than the answer."""
        ...

    def end(self, data: bytes = b"") -> None:
        """End the answer, with a last piece."""
        ...


class RelayExchange(Exchange, Protocol):
    """An exchange that can be answered without a task: nothing here has to be awaited."""

    relayed: Relayed | None

    @property
    def whole_body(self) -> bytes | None:
        """The body, if all of it is here already."""
        ...

    def push(self, data: bytes) -> bool:
        """`write` without waiting. False: the client is slow, so wait for `writable` first."""
        ...

    @property
    def takes_chunks(self) -> bool:
        """Whether the answer that has begun goes out in chunks, and its head has gone out."""
        ...

    def push_chunks(self, chunks: bytes) -> bool:
        """`push` of data that stand in their chunks already, framing and all."""
        ...

    def respond_ready(self, lines: bytes, body: bytes, status: int = 200) -> None:
        """`respond` with header lines that are written already, each with its line end."""
        ...

    def begin_ready(self, lines: bytes) -> None:
        """`begin` an event stream with header lines that are written already."""
        ...

    def hand_over(self) -> None:
        """Let it go the ordinary way after all; nothing may have been sent yet."""
        ...

    async def writable(self) -> None:
        """Wait until the client has taken enough of what was sent."""
        ...
