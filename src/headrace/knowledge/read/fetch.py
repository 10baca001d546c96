"""Fetching: the bytes behind a URL, without letting it lead into this service's own network.

Each hop's host is looked up here, all its addresses are checked, and the connection goes to the
address that was checked: what DNS says a moment later does not matter. Proxies of the environment
are not used, because they would resolve the name themselves. Cookies, logins and scripts are not
supported.
"""

import asyncio
import ssl
import zlib
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeAlias

import httpx

from headrace import __version__
from headrace.knowledge.errors import UnreadableDocument
from headrace.knowledge.read.address import Lookup, checked_addresses, system_lookup
from headrace.knowledge.read.read import format_of, media_type_of
from headrace.knowledge.read.settings import ReadSettings
from headrace.knowledge.read.source import Source

__all__ = ["MAX_REDIRECTS", "Trust", "fetch"]

Trust: TypeAlias = Callable[[], ssl.SSLContext]

MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_CONNECT_S = 5.0
_PORTS = {"http": 80, "https": 443}
_ASK_READABLE = "check that a browser without a login shows it"


async def fetch(
    url: str,
    settings: ReadSettings,
    etag: str = "",
    last_modified: str = "",
    *,
    lookup: Lookup = system_lookup,
    trust: Trust = ssl.create_default_context,
) -> Source | None:
    """The source at `url`, which it goes by wherever redirects lead; None if it has not changed.

    Args:
        etag: what the last answer said; it and `last_modified` make the request a conditional one.
        lookup: names to addresses.
        trust: makes what certificates are checked against.

    Raises:
        AddressRefused: the URL, or one that it redirects to, leads to a private address.
        UnreadableDocument: not there, too large, too slow, of no format that is read.
    """
    visit = _Visit(url, settings, lookup, trust)
    known = {"if-none-match": etag, "if-modified-since": last_modified}
    try:
        async with asyncio.timeout(settings.url_timeout_s):
            return await visit.run({name: value for name, value in known.items() if value})
    except TimeoutError as error:
        raise UnreadableDocument(
            f"{_shown(url)}: not read after {settings.url_timeout_s:g} seconds",
            hint="try again, or raise knowledge.read.url_timeout_s",
        ) from error
    except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
        raise UnreadableDocument(
            f"{_shown(url)}: cannot be fetched: {str(error) or type(error).__name__}",
            hint=_ASK_READABLE,
        ) from error
    except UnreadableDocument as error:
        # From deeper down, where only a host or a hop is known.
        raise type(error)(f"{_shown(url)}: {error.message}", hint=error.hint) from error


class _Visit:
    """One URL and where it redirects to."""

    def __init__(self, url: str, settings: ReadSettings, lookup: Lookup, trust: Trust) -> None:
        self._url, self._settings, self._lookup, self._trust = url, settings, lookup, trust

    async def run(self, known: dict[str, str]) -> Source | None:
        url, private = httpx.URL(self._url), frozenset(self._settings.private_hosts)
        for _ in range(MAX_REDIRECTS + 1):
            host = _checked_host(url)
            if host not in private:
                # Who is public does not send us to those inside, named or not.
                private = frozenset()
            port = url.port or _PORTS[url.scheme]
            addresses = await checked_addresses(host, port, private, self._lookup)
            async with self._answer(url, host, addresses, known) as response:
                if response.status_code not in _REDIRECTS:
                    return await self._source(url, response, is_conditional=bool(known))
                following = _following(url, response)
            if url.scheme == "https" and following.scheme == "http":
                raise UnreadableDocument(
                    "redirects from https to http, where anyone on the way could change it",
                    hint="name the address that it ends at, if that is meant",
                )
            url = following
        raise UnreadableDocument(
            f"redirects more than {MAX_REDIRECTS} times", hint="name the address that it ends at"
        )

    @asynccontextmanager
    async def _answer(
        self, url: httpx.URL, host: str, addresses: Sequence[str], known: dict[str, str]
    ) -> AsyncIterator[httpx.Response]:
        """The head of the answer, from the first of `addresses` that can be connected to."""
        # Nothing is trusted where nothing is verified.
        is_tls = url.scheme == "https"
        context = self._trust() if is_tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        headers = {
            "host": url.netloc.decode("ascii"),
            "user-agent": f"headrace/{__version__}",
            "accept": "*/*",
            "accept-encoding": "gzip",
            **known,
        }
        within = self._settings.url_timeout_s
        timeout = {"connect": _CONNECT_S, "read": within, "write": within, "pool": within}
        # One transport a hop: a connection made for one name is never used for another.
        async with httpx.AsyncHTTPTransport(verify=context, trust_env=False) as transport:
            for left, address in enumerate(addresses, 1 - len(addresses)):
                request = httpx.Request(
                    "GET",
                    url.copy_with(host=address),
                    headers=headers,
                    extensions={"sni_hostname": host, "timeout": timeout},
                )
                try:
                    response = await transport.handle_async_request(request)
                    break
                except (httpx.ConnectError, httpx.ConnectTimeout):
                    if not left:
                        raise
            try:
                yield response
            finally:
                await response.aclose()

    async def _source(
        self, url: httpx.URL, response: httpx.Response, *, is_conditional: bool
    ) -> Source | None:
        if response.status_code == httpx.codes.NOT_MODIFIED and is_conditional:
            return None
        if response.status_code != httpx.codes.OK:
            said = f"{response.status_code} {httpx.codes.get_reason_phrase(response.status_code)}"
            raise UnreadableDocument(f"the server says {said.strip()}", hint=_ASK_READABLE)
        media_type = response.headers.get("content-type", "")
        # Before its bytes are loaded; the ending that counts is that of where it was found.
        name = format_of(url.path, media_type)
        body = _Body(int(self._settings.max_mb * 1_000_000), response.headers)
        async for raw in response.aiter_raw():
            body.feed(raw)
        return Source(
            uri=self._url,
            data=body.whole(),
            media_type=media_type_of(name, media_type),
            etag=response.headers.get("etag", ""),
            last_modified=response.headers.get("last-modified", ""),
        )


class _Body:
    """What arrives, unpacked piece by piece, so that no more than `limit` bytes are ever held."""

    def __init__(self, limit: int, headers: httpx.Headers) -> None:
        self._limit, self._arrived, self._length = limit, 0, 0
        self._parts: list[bytes] = []
        encoding = headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "", "gzip", "x-gzip"):
            raise UnreadableDocument(
                f"packed as {encoding!r}, though only gzip was offered", hint=_ASK_READABLE
            )
        self._gzip = zlib.decompressobj(wbits=31) if "gzip" in encoding else None
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length[:20]) > limit:
            raise self._too_large()

    def feed(self, raw: bytes) -> None:
        """Takes in what the network gave.

        Raises:
            UnreadableDocument: it is too much, or not what it says.
        """
        self._arrived += len(raw)
        if self._arrived > self._limit:
            raise self._too_large()
        if self._gzip is None:
            self._keep(raw)
            return
        try:
            while raw and not self._gzip.eof:
                self._keep(self._gzip.decompress(raw, self._limit - self._length + 1))
                raw = self._gzip.unconsumed_tail
        except zlib.error as error:
            raise self._broken(str(error)) from error

    def whole(self) -> bytes:
        """All of it, when the network has given all."""
        if self._gzip is not None and not self._gzip.eof and self._arrived:
            raise self._broken("it ends too early")
        return b"".join(self._parts)

    def _keep(self, piece: bytes) -> None:
        self._length += len(piece)
        if self._length > self._limit:
            raise self._too_large()
        self._parts.append(piece)

    def _too_large(self) -> UnreadableDocument:
        return UnreadableDocument(
            f"more than {self._limit:,} bytes",
            hint="name a smaller part of it, or raise knowledge.read.max_mb",
        )

    def _broken(self, why: str) -> UnreadableDocument:
        return UnreadableDocument(f"its gzip is broken: {why}", hint="try again later")


def _checked_host(url: httpx.URL) -> str:
    """The host, in small ASCII letters, of a URL that may be followed."""
    if url.scheme not in _PORTS:
        raise UnreadableDocument(
            f"leads to {url.scheme or 'no'!r}, where http or https is needed",
            hint="write https://HOST/PATH",
        )
    if url.userinfo:
        raise UnreadableDocument(
            "has a user or password in it, which would end up in citations",
            hint="documents behind a login are not read; export them to a folder",
        )
    host = url.raw_host.decode("ascii").rstrip(".").lower()
    if not host or not 0 < (url.port or _PORTS[url.scheme]) < 1 << 16:
        raise UnreadableDocument("names no host and port", hint="write https://HOST/PATH")
    return host


def _following(url: httpx.URL, response: httpx.Response) -> httpx.URL:
    target = response.headers.get("location", "")
    if not target:
        raise UnreadableDocument(
            f"redirects ({response.status_code}) without saying where", hint=_ASK_READABLE
        )
    return url.join(target)


def _shown(url: str) -> str:
    """The URL without user and password."""
    scheme, slashes, rest = url.partition("://")
    place, slash, path = rest.partition("/")
    return f"{scheme}{slashes}{place.rpartition('@')[2]}{slash}{path}"
