"""An HTTP client that reaches only the addresses it may."""

import asyncio
import ipaddress
import socket
from collections.abc import Sequence

from headrace.access.network import Network, is_reachable, read_network
from headrace.errors import ModelUnavailable
from headrace.models.http.address import Address
from headrace.models.http.client import HttpClient
from headrace.models.http.resolve import Endpoint, Resolver
from headrace.pipeline.tools.errors import AddressRefused

__all__ = ["guarded_client", "in_words"]

_CONNECT_TIMEOUT_S = 5.0


def guarded_client(address: Address, allow: Sequence[str]) -> HttpClient:
    """A client for one host. Each connection goes to an address that was checked, so a name that
    comes to mean another one later is checked again. It follows no redirect and uses no proxy.

    Raises:
        AddressRefused: the host is a private address, and `allow` does not name it.
    """
    allowed = [read_network(each) for each in allow]
    if _is_literal(address.host) and not is_reachable(address.host, allowed):
        raise _refused(address.host)
    return HttpClient(
        address,
        connect_timeout_s=_CONNECT_TIMEOUT_S,
        resolver=Resolver(_Guarded(allowed)),
    )


def in_words(error: ModelUnavailable) -> str:
    """What the client has met, said of a tool's server: its own words are about models'."""
    return error.message.replace("model server", "server")


class _Guarded:
    """Looks names up, and gives only addresses that may be reached."""

    def __init__(self, allowed: Sequence[Network]) -> None:
        self._allowed = allowed

    async def __call__(self, host: str, port: int) -> Sequence[Endpoint]:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except UnicodeError as error:
            raise socket.gaierror(socket.EAI_NONAME, "not a host name") from error
        endpoints = [
            Endpoint(family, (str(at[0]), int(at[1]), *map(int, at[2:])))  # type: ignore[arg-type]
            for family, _, _, _, at in found
        ]
        good = [each for each in endpoints if is_reachable(str(each), self._allowed)]
        if endpoints and not good:
            raise _refused(host)
        return good


def _is_literal(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _refused(host: str) -> AddressRefused:
    return AddressRefused(
        f"{host} is a private address, which this tool may not reach",
        hint="name it under the tool's `allow` if that is what you want",
    )
