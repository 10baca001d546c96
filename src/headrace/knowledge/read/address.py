"""Where a URL leads: its host's addresses, each of them checked before anything is connected.

A name is refused when any of its addresses is private. `private_hosts` names the hosts that may
be; even those never lead to what clouds tell their machines.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TypeAlias

from headrace.access.network import is_reachable
from headrace.knowledge.errors import AddressRefused, UnreadableDocument

__all__ = ["Lookup", "checked_addresses", "system_lookup"]

Lookup: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""The addresses of a host and port, best first, as digits."""

_BARRED = tuple(
    ipaddress.ip_network(each)
    for each in (
        "::/96",  # IPv4 in disguise, as nobody writes it any more
        "64:ff9b:1::/48",  # translated to IPv4 as the local network likes
        "fec0::/10",  # site-local, from before fc00::/7
        "168.63.129.16/32",  # Azure's own; public by its number only
    )
)
_NEVER = tuple(
    ipaddress.ip_network(each)
    for each in (
        "0.0.0.0/8",
        "169.254.0.0/16",  # link-local, and the metadata of most clouds
        "224.0.0.0/3",  # multicast, reserved, broadcast
        "100.100.100.200/32",  # metadata: Alibaba
        "192.0.0.192/32",  # metadata: Oracle
        "168.63.129.16/32",  # metadata: Azure
        "fd00:ec2::/32",  # metadata: Amazon
        "fe80::/10",
        "ff00::/8",
        "::/128",
    )
)


async def system_lookup(host: str, port: int) -> Sequence[str]:
    """What this machine says; without the zone of IPv6 addresses, which no URL has."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise socket.gaierror(socket.EAI_NONAME, "not a host name") from error
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))


async def checked_addresses(
    host: str, port: int, private_hosts: Collection[str], lookup: Lookup
) -> Sequence[str]:
    """The addresses of `host`, all of which may be connected to.

    Raises:
        AddressRefused: one of them is private, or worse.
        UnreadableDocument: there are none.
    """
    try:
        found = await lookup(host, port)
    except OSError as error:
        raise UnreadableDocument(
            f"the name {host!r} cannot be found ({error.strerror or error})",
            hint="check the address, and this machine's DNS",
        ) from error
    if not found:
        raise UnreadableDocument(f"the name {host!r} has no address", hint="check the address")
    for address in found:
        if host in private_hosts:
            if _is_in(address, _NEVER):
                raise AddressRefused(
                    f"{host} leads to {address}, which no document comes from",
                    hint="not even knowledge.read.private_hosts allows it",
                )
        elif not is_reachable(address) or _is_in(address, _BARRED):
            raise AddressRefused(
                f"{host} leads to the private address {address}",
                hint=f"if it is meant, name {host!r} in knowledge.read.private_hosts",
            )
    return found


def _is_in(address: str, networks: Sequence[ipaddress.IPv4Network | ipaddress.IPv6Network]) -> bool:
    """Whether it, or the IPv4 address in it, is in one of them; what is no address is."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return True
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return any(
        each.version == network.version and each in network
        for each in (found, mapped)
        if each is not None
        for network in networks
    )
