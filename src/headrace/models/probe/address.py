"""Looking at a server's address step by step: its name, its port, its certificate.

A failed request only says that there was no connection. Not covered: HTTP proxies; where the
environment names one, nothing is said of the address, because we would not connect to it.
"""

import asyncio
import socket
import ssl
from dataclasses import dataclass
from typing import Literal, TypeAlias
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

__all__ = ["AddressFault", "AddressProblem", "look_at"]

AddressFault: TypeAlias = Literal["address", "dns", "tls"]

WITHIN_S = 5.0


@dataclass(frozen=True, slots=True)
class AddressProblem:
    """The first step that failed."""

    fault: AddressFault
    message: str
    hint: str


async def look_at(url: str, within_s: float = WITHIN_S) -> AddressProblem | None:
    """What is wrong with the server's address; None where a connection stands, or nobody can say."""
    parts = urlsplit(url)
    host, is_tls = parts.hostname or "", parts.scheme == "https"
    if parts.scheme not in ("http", "https") or not host:
        return AddressProblem(
            "address", f"{url!r} is no address of a server", "write `base_url: https://HOST/v1`"
        )
    if parts.scheme in getproxies() and not proxy_bypass(host):
        return None
    port = parts.port or (443 if is_tls else 80)
    try:
        async with asyncio.timeout(within_s):
            return await _name(host) or await _port(host, port, is_tls=is_tls)
    except TimeoutError:
        return AddressProblem(
            "address",
            f"{host}:{port} does not answer within {within_s:g} s",
            "check `base_url`, and firewalls on the way",
        )


async def _name(host: str) -> AddressProblem | None:
    try:
        await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        return AddressProblem(
            "dns",
            f"the name {host!r} cannot be found ({error.strerror})",
            "check `base_url` for a slip of the pen, and this machine's DNS",
        )
    except UnicodeError:
        return AddressProblem("dns", f"{host!r} is no host name", "check `base_url`")
    return None


async def _port(host: str, port: int, *, is_tls: bool) -> AddressProblem | None:
    context = ssl.create_default_context() if is_tls else None
    try:
        _, writer = await asyncio.open_connection(host, port, ssl=context)
    except ssl.SSLCertVerificationError as error:
        return AddressProblem(
            "tls",
            f"the certificate of {host}:{port} is refused: {error.verify_message}",
            "check the address and this machine's clock; a private authority goes into SSL_CERT_FILE",
        )
    except ssl.SSLError as error:
        return AddressProblem(
            "tls",
            f"{host}:{port} speaks no TLS that we do ({error.reason or error})",
            "write http:// if the server has no TLS",
        )
    except OSError as error:
        return AddressProblem(
            "address",
            f"no connection to {host}:{port}: {error.strerror or error}",
            "check `base_url`, and that the server runs",
        )
    writer.close()
    return None
