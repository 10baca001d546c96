"""HTTP proxies: which one leads to a server, and what it says.

Not covered: proxies that are themselves reached by TLS (`https://` in the proxy's URL), SOCKS,
automatic configuration (PAC), authentication other than Basic.
"""

import base64
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import unquote, urlsplit

from headrace.errors import ModelUnavailable
from headrace.models.errors import DeploymentMisconfigured
from headrace.models.http.address import Address

__all__ = ["Proxies", "Proxy"]

DEFAULT_PORT = 80
_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})(?: [^\r\n]*)?\r\n")


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy. Its password is in no message and not in its representation."""

    host: str
    port: int
    authorization: str | None = field(default=None, repr=False)
    """The header's value."""

    @classmethod
    def of(cls, url: str) -> Self:
        """The proxy in `[http://][USER:PASSWORD@]HOST[:PORT]`.

        Raises:
            ValueError: it is none; the message repeats nothing of it but the scheme.
        """
        url = url.strip()
        scheme, separator, _ = url.partition("://")
        if not separator:
            url = f"http://{url}"
        elif scheme.lower() != "http":
            raise ValueError(f"a proxy's URL begins with 'http://', not {scheme + '://'!r}")
        try:
            parts = urlsplit(url)
            host, port = parts.hostname, parts.port
        except ValueError:
            raise ValueError("a proxy is written 'http://[USER:PASSWORD@]HOST:PORT'") from None
        if not host or parts.path not in ("", "/") or parts.query or parts.fragment:
            raise ValueError("a proxy is written 'http://[USER:PASSWORD@]HOST:PORT'")
        authorization = None
        if parts.username is not None:
            secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            authorization = f"Basic {base64.b64encode(secret.encode()).decode('ascii')}"
        return cls(host, port or DEFAULT_PORT, authorization)

    def __str__(self) -> str:
        return str(Address(host=self.host, port=self.port))

    def connect(self, address: Address) -> bytes:
        """The request for a tunnel."""
        target = str(address)
        secret = f"proxy-authorization: {self.authorization}\r\n" if self.authorization else ""
        return f"CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n{secret}\r\n".encode("ascii")

    def check(self, head: bytes, address: Address) -> None:
        """Raise what is wrong with its answer to `connect`, if anything."""
        found = _STATUS.match(head)
        if found is None:
            raise DeploymentMisconfigured(
                f"what answers at {self} is no HTTP proxy", hint="check the proxy's URL"
            )
        status = int(found[1])
        if not 200 <= status < 300:
            raise self.refusal(status, address)
        if not head.endswith(b"\r\n\r\n"):
            raise ModelUnavailable(f"the proxy {self} sends more than an answer")

    def refusal(self, status: int, address: Address | None = None) -> ModelUnavailable:
        """What a status other than 2xx means."""
        if status == 407:
            what = "refuses this user or password" if self.authorization else "wants a password"
            return DeploymentMisconfigured(
                f"the proxy {self} {what}", hint="its URL takes one: http://USER:PASSWORD@HOST:PORT"
            )
        to = f" to {address}" if address is not None else ""
        if status in (502, 503, 504):
            return ModelUnavailable(f"the proxy {self} cannot connect{to} (status {status})")
        return DeploymentMisconfigured(
            f"the proxy {self} refuses to connect{to} (status {status})",
            hint="allow this server there, or name it in NO_PROXY if no proxy leads to it",
        )


@dataclass(frozen=True, slots=True)
class _Exempt:
    """One entry of NO_PROXY."""

    port: int | None = None
    network: ipaddress.IPv4Network | ipaddress.IPv6Network | None = None
    name: str = ""
    """A host with all hosts below it; with a leading dot, only those below."""

    @classmethod
    def of(cls, entry: str) -> Self | None:
        """The entry, or None where it is empty."""
        text = entry.strip().lower()
        port = None
        if (found := re.fullmatch(r"(\[[^\]]*\]|[^:]*):(\d{1,5})", text)) is not None:
            text, port = found[1], int(found[2])
        text = text.removeprefix("[").removesuffix("]").removesuffix(".")
        if not text:
            return None
        try:
            return cls(port, ipaddress.ip_network(text, strict=False))
        except ValueError:
            return cls(port, None, text.removeprefix("*") if text != "*" else text)

    def covers(self, host: str, port: int) -> bool:
        if self.port is not None and self.port != port:
            return False
        if self.network is not None:
            address = _ip(host)
            return address is not None and address in self.network
        if self.name == "*" or host == self.name:
            return True
        return host.endswith(self.name if self.name.startswith(".") else f".{self.name}")


@dataclass(frozen=True, slots=True)
class Proxies:
    """Which proxy leads where."""

    http: Proxy | None = None
    https: Proxy | None = None
    exempt: tuple[_Exempt, ...] = ()
    spares_loopback: bool = False
    """Whether this machine itself is always reached directly."""

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Self:
        """As HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY say; lower case comes first.

        Raises:
            ValueError: one of them holds no proxy; says which.
        """

        def value(name: str) -> str:
            return (environment.get(name.lower()) or environment.get(name.upper()) or "").strip()

        def proxy(name: str) -> Proxy | None:
            name = name if value(name) else "all_proxy"
            try:
                return Proxy.of(value(name)) if value(name) else None
            except ValueError as error:
                raise ValueError(f"{name.upper()} in the environment: {error}") from None

        return cls(proxy("http_proxy"), proxy("https_proxy"), _entries(value("no_proxy")), True)

    @classmethod
    def always(cls, url: str, *, no_proxy: str = "") -> Self:
        """One proxy for all servers but those in `no_proxy`, written as in the environment.

        Raises:
            ValueError: `url` is no proxy's.
        """
        proxy = Proxy.of(url)
        return cls(proxy, proxy, _entries(no_proxy))

    def leading_to(self, address: Address) -> Proxy | None:
        """The proxy to take; None to connect directly."""
        proxy = self.https if address.tls else self.http
        if proxy is None or address.socket is not None:
            return None
        host = address.host.lower().removesuffix(".")
        if self.spares_loopback and _is_loopback(host):
            return None
        return None if any(each.covers(host, address.port) for each in self.exempt) else proxy


def _entries(listed: str) -> tuple[_Exempt, ...]:
    found = (_Exempt.of(each) for each in re.split(r"[,\s]+", listed))
    return tuple(each for each in found if each is not None)


def _ip(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    address = _ip(host)
    return (
        host == "localhost" or host.endswith(".localhost") or bool(address and address.is_loopback)
    )
