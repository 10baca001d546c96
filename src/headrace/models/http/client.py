"""The client: one server, its connections, and requests to it."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType

from headrace import __version__
from headrace.models.errors import DeploymentMisconfigured
from headrace.models.http.address import Address
from headrace.models.http.exchange import Exchange, Sink
from headrace.models.http.head import RequestHead
from headrace.models.http.peer import Peer
from headrace.models.http.pool import Pool, PoolState
from headrace.models.http.proxy import Proxies
from headrace.models.http.reply import Inbox, Reply
from headrace.models.http.resolve import Resolver
from headrace.models.http.settings import PoolSettings, Timeouts
from headrace.models.http.tls import TlsSettings

__all__ = ["HttpClient"]

WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
METHODS = WITH_BODY | {"GET", "DELETE"}
KEPT_HEADS = 32
OURS = frozenset({"content-length", "transfer-encoding", "connection"})
"""Headers that say where a message ends; whoever set them twice would be misunderstood."""


class HttpClient:
    """Requests to one server."""

    def __init__(
        self,
        address: Address,
        *,
        connect_timeout_s: float = 5.0,
        response_timeout_s: float | None = None,
        idle_timeout_s: float | None = None,
        tls: TlsSettings | None = None,
        proxies: Proxies | None = None,
        pool: PoolSettings | None = None,
        resolver: Resolver | None = None,
    ) -> None:
        """Opens nothing yet.

        Args:
            connect_timeout_s: until a connection stands, and longest wait for one to become free.
            response_timeout_s: until the response's headers are here.
            idle_timeout_s: between two pieces of its body.
            tls: absent: the system's trust store.
            proxies: absent: none, whatever the environment says.
            pool: absent: what suits the address.
            resolver: to share what is known of names; absent: its own.
        """
        timeouts = Timeouts(
            connect_s=connect_timeout_s, response_s=response_timeout_s, idle_s=idle_timeout_s
        )
        proxy = proxies.leading_to(address) if proxies is not None else None
        peer = Peer(address, timeouts, tls or TlsSettings(), proxy)
        self._own_resolver = Resolver() if resolver is None else None
        settings = pool or PoolSettings.fitting(address)
        self._pool = Pool(peer, settings, resolver or self._own_resolver or Resolver())
        self._heads: dict[object, RequestHead] = {}
        """Made before: deployments ask the same thing of the same path, with the same key."""
        self._target = address.base_path
        self._usual = {
            "host": address.authority,
            "user-agent": f"headrace/{__version__}",
            "accept-encoding": "identity",
        }
        if proxy is not None and not address.tls:
            # RFC 9112, 3.2.2: a proxy is told the whole URL; through a tunnel it sees none.
            self._target = f"http://{address.authority}{address.base_path}"
            if proxy.authorization is not None:
                self._usual["proxy-authorization"] = proxy.authorization

    @property
    def state(self) -> PoolState:
        """How many connections there are, and how many requests wait for one."""
        return self._pool.state

    @property
    def rtt_s(self) -> float | None:
        """The latest round trip to the server, as a connection opened; None where nobody knows."""
        return self._pool.rtt_s

    def head(
        self,
        method: str,
        path: str,
        *,
        headers: Sequence[tuple[str, str]] = (),
        keep_alive: bool = True,
        resend: bool = True,
    ) -> RequestHead:
        """The head of a request, to be used any number of times.

        Args:
            path: below the address's base path.
            headers: take the place of ours (Host, User-Agent, Content-Type, Accept-Encoding).
            keep_alive: False tells the server to close after the response.
            resend: whether it may be sent a second time where a kept connection turns out to
                have been closed by the server just before. Asking a model changes nothing there.

        Raises:
            DeploymentMisconfigured: a header cannot be sent.
        """
        key = (method, path, tuple(headers), keep_alive, resend)
        head = self._heads.get(key)
        if head is None:
            head = self._heads[key] = self._written(
                method, path, headers, keep_alive=keep_alive, resend=resend
            )
            if len(self._heads) > KEPT_HEADS:
                # Some sign each request, so no head comes twice.
                del self._heads[next(iter(self._heads))]
        return head

    def _written(
        self,
        method: str,
        path: str,
        headers: Sequence[tuple[str, str]],
        *,
        keep_alive: bool,
        resend: bool,
    ) -> RequestHead:
        if method not in METHODS:
            raise ValueError(f"the method {method!r} is none that this client speaks")
        given = {name.lower() for name, _ in headers}
        usual = dict(self._usual)
        has_body = method in WITH_BODY
        if has_body:
            usual["content-type"] = "application/json"
        lines = [f"{method} {self._target}{path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in usual.items() if name not in given]
        lines += [f"{name}: {value}" for name, value in headers]
        lines.append(f"connection: {'keep-alive' if keep_alive else 'close'}")
        text = "\r\n".join(lines)
        if given & OURS:
            name = min(given & OURS)
            raise DeploymentMisconfigured(f"the header {name!r} is not yours to set")
        if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1:
            raise DeploymentMisconfigured(_broken(headers))
        if lines[0].count(" ") != 2:
            raise ValueError(f"a path has no spaces: {path!r}")
        return RequestHead(f"{text}\r\n".encode(), has_body, keep_alive, resend)

    def exchange(
        self, head: RequestHead, body: bytes, sink: Sink, *, deadline: float | None = None
    ) -> Exchange:
        """Send a request, and hand what comes to `sink`; returns at once.

        Args:
            deadline: when the response must be whole, in the event loop's seconds.

        Raises:
            ModelUnavailable: the client is closed. All else goes to `sink.failed`.
        """
        exchange = Exchange(head, body, sink, deadline=deadline)
        self._pool.submit(exchange)
        return exchange

    def request(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        *,
        headers: Sequence[tuple[str, str]] = (),
        keep_alive: bool = True,
        resend: bool = True,
        deadline: float | None = None,
    ) -> AbstractAsyncContextManager[Reply]:
        """One request; leaving the block before the body's end closes the connection.

        Raises (on entering):
            DeploymentTimeout: the server took the request, and stayed silent.
            DeploymentMisconfigured: its certificate, the proxy or a header is not as it must be.
            DeploymentThrottled: `max_connections` are all in use.
            ModelUnavailable: nobody answers there, or broke off before the headers.
        """
        head = self.head(method, path, headers=headers, keep_alive=keep_alive, resend=resend)
        return _Request(self, head, body, deadline)

    def warm(self, spare: int) -> None:
        """Keep this many connections open in advance; call it on the event loop."""
        self._pool.warm(spare)

    def close(self) -> None:
        """Close idle connections; streams that run end on their own."""
        self._pool.close()
        if self._own_resolver is not None:
            self._own_resolver.close()


class _Request:
    """A request as a block: given up where the block is left."""

    __slots__ = ("_body", "_client", "_deadline", "_exchange", "_head")

    def __init__(
        self, client: HttpClient, head: RequestHead, body: bytes, deadline: float | None
    ) -> None:
        self._client = client
        self._head = head
        self._body = body
        self._deadline = deadline
        self._exchange: Exchange | None = None

    async def __aenter__(self) -> Reply:
        inbox = Inbox()
        exchange = self._client.exchange(self._head, self._body, inbox, deadline=self._deadline)
        self._exchange = inbox.exchange = exchange
        try:
            return Reply(await inbox.head(), inbox)
        except BaseException:
            exchange.abort()
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._exchange is not None:
            self._exchange.abort()


def _broken(headers: Sequence[tuple[str, str]]) -> str:
    """Which header it is; never its value, which may be a key."""
    for name, value in headers:
        if any(letter in f"{name}{value}" for letter in "\r\n"):
            shown = name if name.isprintable() else "?"
            return f"the value of the header {shown!r} has a line break in it"
    return "the request's path has a line break in it"
