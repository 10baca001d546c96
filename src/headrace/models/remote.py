"""A deployment behind somebody's HTTP API: what all wire protocols have in common.

A provider's own folder holds its `Wire`: how a call is written in its words and how its answers,
errors and limits are read. This file sends and receives, so a wire never sees a connection and can
be tested on bytes alone.
"""

import hashlib
import os
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Annotated, Protocol

import msgspec
from msgspec import Meta

from headrace.errors import ConfigError, HeadraceError, ModelUnavailable
from headrace.models.backend import Call, Embeddings, ListedModel, RateLimits
from headrace.models.estimate import estimate_tokens
from headrace.models.http import Address, HttpClient, Reply
from headrace.models.http.head import Head
from headrace.models.http.pool import PoolState
from headrace.models.http.proxy import Proxies
from headrace.models.http.settings import PoolSettings
from headrace.models.http.tls import TlsSettings
from headrace.models.progress import Progress
from headrace.types import Delta, Deltas, Message, TextKind

if TYPE_CHECKING:
    from headrace.models.openai.relay import RelayTarget

__all__ = ["Reader", "RemoteBackend", "RemoteSettings", "Request", "Wire"]

DEFAULT_CONTEXT_TOKENS = 128_000


class RemoteSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings that every remote backend takes; a wire's own settings extend them."""

    model: Annotated[str, Meta(min_length=1)]
    """The model's name at the provider."""
    base_url: str = ""
    """The API's address up to, not including, the endpoint's own path."""
    api_key: str | None = None
    """The provider's key, such as `${OPENAI_API_KEY}`; absent: none is sent."""
    context_tokens: Annotated[int, Meta(ge=256)] | None = None
    """Longest prompt plus answer; absent: as the catalogue says, else 128,000."""
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    """Further headers for every request."""
    connect_timeout_s: Annotated[float, Meta(gt=0)] = 5.0
    """Seconds until the connection must stand."""
    response_timeout_s: Annotated[float, Meta(gt=0)] = 120.0
    """Seconds until the response must have begun."""
    idle_timeout_s: Annotated[float, Meta(gt=0)] = 60.0
    """Seconds a stream may stay silent between two pieces."""
    tls: TlsSettings = TlsSettings()
    """Whom to trust, and who we are, where `base_url` begins with https."""
    pool: PoolSettings | None = None
    """Connections that are kept; absent: what suits the address."""
    proxy: str | None = None
    """HTTP proxy on the way, such as `http://proxy:3128`; empty: none; absent: as HTTPS_PROXY and
    HTTP_PROXY say."""
    no_proxy: str = ""
    """Hosts that are reached without `proxy`, as NO_PROXY writes them."""


class Request(msgspec.Struct, frozen=True):
    """One HTTP request in a provider's words. `path` is below the deployment's `base_url`."""

    path: str
    body: bytes = b""
    headers: Sequence[tuple[str, str]] = ()
    method: str = "POST"


class Reader(Protocol):
    """Reads one streamed answer from its bytes, cut anywhere."""

    def feed(self, packet: bytes) -> Iterable[Delta]:
        """The deltas that this packet completes.

        Raises:
            ModelUnavailable: the provider reports a failure in mid-stream, or what came is not
                its protocol.
        """
        ...

    def end(self) -> Iterable[Delta]:
        """What remains once the stream has ended.

        Raises:
            ModelUnavailable: it ended too early, so the answer is not whole.
        """
        ...


class Wire(Protocol):
    """One provider's protocol. Pure: no clock, no connection."""

    def generate(self, call: Call) -> Request:
        """Ask for an answer; streamed as `call.stream` says.

        Raises:
            InvalidRequest: the protocol has no words for what is asked.
        """
        ...

    def reader(self, call: Call) -> Reader:
        """For a streamed answer to `call`."""
        ...

    def whole(self, call: Call, body: bytes) -> Iterable[Delta]:
        """The deltas of an answer that came in one piece: one per choice, then the usage."""
        ...

    def embed(self, inputs: Sequence[str], kind: TextKind | None) -> Request: ...

    def embeddings(self, body: bytes) -> Embeddings: ...

    def list(self) -> Request | None:
        """Ask for the models that there are; None where that cannot be asked."""
        ...

    def listed(self, body: bytes) -> Sequence[ListedModel]: ...

    def error_of(self, status: int, headers: Mapping[str, str], body: bytes) -> HeadraceError:
        """What a response other than 2xx means (models/errors.py says which is which)."""
        ...

    def rate_limits(self, headers: Mapping[str, str]) -> RateLimits | None: ...


class RemoteBackend:
    """Serves one deployment over HTTP. A backend of a wire subclasses it and makes the wire."""

    provider = "custom"

    def __init__(self, settings: RemoteSettings, wire: Wire, *, name: str) -> None:
        self.settings = settings
        self.wire = wire
        self._address, self._proxies = _way_to(settings)
        self.context_tokens = settings.context_tokens or DEFAULT_CONTEXT_TOKENS
        served = f"{self.provider} {settings.base_url} {settings.model}"
        self.digest = hashlib.sha256(served.encode()).hexdigest()
        self.capacity: int | None = None
        self.rate_limits: RateLimits | None = None
        self._name = name
        self._client: HttpClient | None = None

    async def start(self, progress: Progress | None = None) -> None:
        """Nothing is asked of the provider yet: a service starts while one of them is down."""
        del progress
        if self._client is None:
            self._client = HttpClient(
                self._address,
                connect_timeout_s=self.settings.connect_timeout_s,
                response_timeout_s=self.settings.response_timeout_s,
                idle_timeout_s=self.settings.idle_timeout_s,
                tls=self.settings.tls,
                pool=self.settings.pool,
                proxies=self._proxies,
            )

    async def stop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def is_ready(self) -> bool:
        return self._client is not None

    async def wait_ready(self, timeout_s: float) -> bool:
        del timeout_s
        return self.is_ready()

    async def generate(self, call: Call) -> Deltas:
        """The answer, piece by piece; closing the iterator closes the connection.

        Raises:
            ModelUnavailable: as the protocol's own errors say, see models/errors.py.
            InvalidRequest, ContextTooLong: the provider refuses what was asked.
        """
        async with self._sent(self.wire.generate(call)) as reply:
            if not call.stream:
                for delta in self.wire.whole(call, await reply.read()):
                    yield delta
                return
            reader = self.wire.reader(call)
            async with aclosing(reply.chunks()) as packets:
                async for packet in packets:
                    for delta in reader.feed(packet):
                        yield delta
            for delta in reader.end():
                yield delta

    async def embed(self, inputs: Sequence[str], *, kind: TextKind | None = None) -> Embeddings:
        async with self._sent(self.wire.embed(inputs, kind)) as reply:
            return self.wire.embeddings(await reply.read())

    async def listed(self) -> Sequence[ListedModel]:
        request = self.wire.list()
        if request is None:
            return ()
        async with self._sent(request) as reply:
            return self.wire.listed(await reply.read())

    @property
    def rtt_s(self) -> float | None:
        """The latest round trip to the server, in seconds; None where nobody knows."""
        return None if self._client is None else self._client.rtt_s

    @property
    def connections(self) -> PoolState | None:
        """How many connections to the server there are; None before it starts."""
        return None if self._client is None else self._client.state

    def saw(self, head: Head) -> None:
        """Learn from a response that somebody else has asked for."""
        if head.tells_limits:
            self.rate_limits = self.wire.rate_limits(head.headers) or self.rate_limits

    def relay(self) -> "RelayTarget | None":
        """Where chats in OpenAI's words can be passed on as they are; None: nowhere."""
        return None

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        return estimate_tokens(messages)

    def token_upper_bound(self, messages: Sequence[Message]) -> int | None:
        """Nobody here knows the provider's tokenizer, so nothing is promised."""
        del messages
        return None

    @asynccontextmanager
    async def _sent(self, request: Request) -> AsyncGenerator[Reply, None]:
        """The reply to a request, once it is known to be a good one."""
        if self._client is None:
            raise ModelUnavailable(f"the deployment {self._name!r} is stopped")
        headers = (*request.headers, *self.settings.headers.items())
        async with self._client.request(
            request.method, request.path, request.body, headers=headers
        ) as reply:
            self.rate_limits = self.wire.rate_limits(reply.headers) or self.rate_limits
            if not 200 <= reply.status < 300:
                raise self.wire.error_of(reply.status, reply.headers, await reply.read())
            yield reply


def _way_to(settings: RemoteSettings) -> tuple[Address, Proxies | None]:
    """Where the server is, and through which proxy.

    Raises:
        ConfigError: neither a URL nor an address of a proxy; never repeats a password.
    """
    try:
        address = Address.of(settings.base_url)
    except ValueError as error:
        raise ConfigError(f"base_url: {error}", hint="such as https://HOST/v1") from error
    try:
        if settings.proxy is None:
            return address, Proxies.from_environment(os.environ)
        if not settings.proxy:
            return address, None
        return address, Proxies.always(settings.proxy, no_proxy=settings.no_proxy)
    except ValueError as error:
        raise ConfigError(f"proxy: {error}", hint="such as http://HOST:3128") from error
