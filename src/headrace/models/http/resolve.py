"""Names to addresses, without holding up a request that can do with what was known.

A lookup takes a thread and 0.03-0.06 ms where the answer is local, milliseconds where it is not,
and seconds where DNS is ill. So an answer is used as it is while fresh, used and renewed in the
background for a while after, and falls back on when DNS fails. A server that moved is found at the
latest when nothing answers any more at its old addresses: then the dialer asks anew.
"""

import asyncio
import ipaddress
import itertools
import socket
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from headrace.errors import ModelUnavailable

__all__ = ["Endpoint", "Lookup", "Resolver"]

FRESH_S = 10.0
USABLE_S = 300.0


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address of a server, as sockets want it."""

    family: int
    sockaddr: tuple[str, int] | tuple[str, int, int, int]

    def __str__(self) -> str:
        return self.sockaddr[0]


Lookup: TypeAlias = Callable[[str, int], Awaitable[Sequence[Endpoint]]]


@dataclass(slots=True)
class _Known:
    endpoints: Sequence[Endpoint]
    at: float


class Resolver:
    """Remembers what names stand for."""

    def __init__(self, lookup: Lookup | None = None) -> None:
        self._lookup = lookup or _getaddrinfo
        self._known: dict[tuple[str, int], _Known] = {}
        self._running: dict[tuple[str, int], asyncio.Task[Sequence[Endpoint]]] = {}

    async def endpoints(
        self, host: str, port: int, *, anew: bool = False
    ) -> tuple[Sequence[Endpoint], bool]:
        """The addresses, IPv6 and IPv4 in turn, best first; and whether they were just asked for.

        Args:
            anew: what is known does not answer.

        Raises:
            ModelUnavailable: the name stands for nothing, or DNS does not say.
        """
        literal = _literal(host, port)
        if literal is not None:
            return [literal], True
        known = self._known.get((host, port))
        age = asyncio.get_running_loop().time() - known.at if known else 0.0
        if known is not None and not anew:
            if age >= FRESH_S:
                self._ask(host, port)
            if age < USABLE_S:
                return known.endpoints, False
        # Shielded: others may wait for the same answer.
        task = self._ask(host, port)
        try:
            return await asyncio.shield(task), True
        except OSError as error:
            if known is not None and not anew:
                return known.endpoints, True
            raise _explained(host, error) from error

    def close(self) -> None:
        for task in self._running.values():
            task.cancel()

    def _ask(self, host: str, port: int) -> asyncio.Task[Sequence[Endpoint]]:
        task = self._running.get((host, port))
        if task is None:
            task = asyncio.create_task(self._learn(host, port))
            self._running[host, port] = task
            task.add_done_callback(lambda done: self._done(host, port, done))
        return task

    async def _learn(self, host: str, port: int) -> Sequence[Endpoint]:
        endpoints = _in_turn(await self._lookup(host, port))
        self._known[host, port] = _Known(endpoints, asyncio.get_running_loop().time())
        return endpoints

    def _done(self, host: str, port: int, task: asyncio.Task[Sequence[Endpoint]]) -> None:
        del self._running[host, port]
        if not task.cancelled():
            # Who waits gets it raised; where nobody does, the old answer goes on being used.
            task.exception()


async def _getaddrinfo(host: str, port: int) -> Sequence[Endpoint]:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:
        raise socket.gaierror(socket.EAI_NONAME, "not a host name") from error
    return [
        Endpoint(family, (str(sockaddr[0]), int(sockaddr[1]), *map(int, sockaddr[2:])))  # type: ignore[arg-type]
        for family, _, _, _, sockaddr in found
    ]


def _literal(host: str, port: int) -> Endpoint | None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv4Address):
        return Endpoint(socket.AF_INET, (host, port))
    if address.scope_id is not None:
        return None  # getaddrinfo knows the numbers of interfaces
    return Endpoint(socket.AF_INET6, (host, port, 0, 0))


def _in_turn(endpoints: Sequence[Endpoint]) -> Sequence[Endpoint]:
    """Families in turn, each in the order given (RFC 8305, section 4)."""
    if not endpoints:
        raise socket.gaierror(socket.EAI_NONAME, "no addresses")
    unique = list(dict.fromkeys(endpoints))
    first = [each for each in unique if each.family == unique[0].family]
    second = [each for each in unique if each.family != unique[0].family]
    pairs = itertools.zip_longest(first, second)
    return [each for pair in pairs for each in pair if each is not None]


def _explained(host: str, error: OSError) -> ModelUnavailable:
    if isinstance(error, socket.gaierror) and error.errno in (socket.EAI_NONAME, socket.EAI_NODATA):
        return ModelUnavailable(
            f"the host name {host!r} is not known",
            hint="check its spelling in the settings, and this machine's DNS",
        )
    return ModelUnavailable(
        f"the host name {host!r} cannot be looked up: DNS does not answer"
        f" ({error.strerror or type(error).__name__})",
        hint="check this machine's DNS and network",
    )
