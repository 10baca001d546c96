"""Which addresses the service may reach on someone else's word: the public ones, and those named.

A link in a document, an argument that a model wrote, a name that DNS answers with the address of a
machine inside: without this check each would make the service a way into its own network. What is
checked is the address that is then connected to, never only the name.

Not covered: what a public server does with the request, and proxies, which resolve names by
themselves.
"""

import ipaddress
from collections.abc import Sequence
from typing import TypeAlias

__all__ = ["Network", "is_reachable", "read_network"]

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_BARRED: tuple[Network, ...] = tuple(
    map(
        ipaddress.ip_network,
        (
            "::/96",  # IPv4 in disguise, as nobody writes it any more
            "64:ff9b:1::/48",  # translated to IPv4 as the local network likes
            "fec0::/10",  # site-local, from before fc00::/7
            "168.63.129.16/32",  # what Azure tells its machines; public by its number only
        ),
    )
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR = ipaddress.IPv6Network("2002::/16")


def read_network(text: str) -> Network:
    """An address or a network, as written: `10.1.2.3`, `10.0.0.0/8`, `fd00::/8`.

    Raises:
        ValueError: it is neither.
    """
    return ipaddress.ip_network(text, strict=False)


def is_reachable(address: str, allowed: Sequence[Network] = ()) -> bool:
    """Whether an address is public or in one of `allowed`; what is no address is not.

    Loopback, link-local (where clouds keep their credentials), private, shared, reserved and
    multicast addresses are not public, nor IPv6 forms that hold such an IPv4 address.
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    inner = _inner(found)
    if any(
        one.version == each.version and each in one for one in allowed for each in (found, inner)
    ):
        return True
    return all(_is_public(each) for each in (found, inner))


def _is_public(address: _Address) -> bool:
    if not address.is_global or address.is_multicast:
        return False
    return not any(one.version == address.version and address in one for one in _BARRED)


def _inner(address: _Address) -> _Address:
    """The IPv4 address that an IPv6 one stands for; else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address in _SIX_TO_FOUR:
        return ipaddress.IPv4Address((int(address) >> 80) & 0xFFFFFFFF)
    return address
