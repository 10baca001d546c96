"""Where a model server listens, read from a URL."""

import ipaddress
import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import SplitResult, quote, urlsplit

__all__ = ["Address"]

DEFAULT_PORTS = {"http": 80, "https": 443}
LONGEST_SOCKET_PATH = 107
"""Bytes that fit into the kernel's `sockaddr_un` on Linux."""
EXAMPLES = "such as 'https://api.example.com/v1', 'http://[::1]:8000' or 'unix:/run/model.sock'"

_UNUSABLE = re.compile(r"[\x00-\x20\x7f\\]")
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server listens: a Unix socket, or host and port."""

    socket: str | None = None
    host: str = ""
    """A name or an IP address, without brackets."""
    port: int = 0
    base_path: str = ""
    """What stands before every request's own path."""
    tls: bool = False

    @classmethod
    def of(cls, url: str) -> Self:
        """The address in a URL: `http:`, `https:`, or `unix:/SOCKET[:/BASE/PATH]`.

        Raises:
            ValueError: it is none. The message never repeats the URL's user name or password.
        """
        if _UNUSABLE.search(url):
            raise ValueError("a URL has no spaces, backslashes or control characters")
        if url[:5].lower() == "unix:":
            return cls._of_socket(url[5:])
        found = _SCHEME.match(url)
        if found is None:
            raise ValueError(f"no 'http://' or 'https://' in front: expected a URL {EXAMPLES}")
        scheme = found[1].lower()
        if scheme not in DEFAULT_PORTS:
            raise ValueError(
                f"{scheme!r} is not a way to a model server: expected a URL {EXAMPLES}"
            )
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            # urllib's own words may quote the part with the password.
            raise ValueError(
                f"not a URL: its host or port is malformed; expected one {EXAMPLES}"
            ) from (None if "@" in url else error)
        if "@" in parts.netloc:
            raise ValueError(
                "a user name or password has no place in it: set `api_key` or `headers`"
            )
        if parts.query or parts.fragment:
            raise ValueError(
                "it ends in a '?' or '#' part, which the requests' own paths would follow"
            )
        if port == 0:
            raise ValueError("port 0 is not one that a server listens on")
        return cls(
            host=_host(parts),
            port=port or DEFAULT_PORTS[scheme],
            base_path=_path(parts.path),
            tls=scheme == "https",
        )

    @classmethod
    def _of_socket(cls, rest: str) -> Self:
        path, _, base = rest.partition(":")
        if path.startswith("//"):
            path = "/" + path.lstrip("/")
        if not path.startswith("/") or (base and not base.startswith("/")):
            raise ValueError(
                "a Unix socket is written 'unix:/absolute/path.sock' or, with a base path, "
                "'unix:/absolute/path.sock:/v1'"
            )
        if len(path.encode()) > LONGEST_SOCKET_PATH:
            raise ValueError(f"a Unix socket's path has at most {LONGEST_SOCKET_PATH} bytes")
        return cls(socket=path, base_path=_path(base))

    @property
    def authority(self) -> str:
        """What the Host header says: the port only where it is not the usual one."""
        if self.socket is not None:
            return "localhost"
        host = _bracketed(self.host.partition("%")[0])
        usual = DEFAULT_PORTS["https" if self.tls else "http"]
        return host if self.port == usual else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"unix:{self.socket}" if self.socket else f"{_bracketed(self.host)}:{self.port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _host(parts: SplitResult) -> str:
    host = parts.hostname
    if not host:
        raise ValueError(f"it names no host: expected a URL {EXAMPLES}")
    if "[" in parts.netloc:
        try:
            return str(ipaddress.IPv6Address(host.replace("%25", "%")))
        except ValueError:
            raise ValueError(f"{host!r} is not an IPv6 address") from None
    if host.isascii():
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        raise ValueError(f"{host!r} is not a host name") from None


def _path(path: str) -> str:
    return quote(path.rstrip("/"), safe="/%:@!$&'()*+,;=~-._")
