"""The listening socket: taken before anything slow begins, so that a taken port is said at once."""

import contextlib
import logging
import resource
import socket
from collections.abc import Iterator

from headrace.server.errors import PortUnusable

__all__ = ["address_of", "allow_connections", "is_loopback", "listening", "reserved", "shared"]

BACKLOG = 2048
_EVERY_INTERFACE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - shown, not bound

FILES_BESIDES = 256
"""Open files that have nothing to do with clients: database, logs, model processes."""

_log = logging.getLogger(__name__)


def allow_connections(count: int) -> None:
    """Let this process have as many open files as that many clients need, if the system lets it.

    The usual limit of 1,024 would end at some 500 clients: each may have a connection to a model too.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 2 * count + FILES_BESIDES
    if soft >= wanted or soft == resource.RLIM_INFINITY:
        return
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed < count + FILES_BESIDES:
        _log.warning(
            "the system allows %d open files, too few for server.max_connections (%d)",
            allowed,
            count,
        )


@contextlib.contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens; port 0 picks a free one. Closed at the end.

    Raises:
        PortUnusable: says why, and what to do.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        listener = socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        raise PortUnusable.at(host, port, error) from error
    with listener:
        yield listener


@contextlib.contextmanager
def reserved(host: str, port: int) -> Iterator[socket.socket]:
    """A port that other processes of this service may listen on (`shared`); port 0 picks a free one.

    Nobody listens yet. While it is held no other program gets the port.

    Raises:
        PortUnusable: says why, and what to do.
    """
    # First as one who does not share: another service that does would go unnoticed.
    with listening(host, port) as alone:
        address, family = alone.getsockname(), alone.family
    try:
        holder = socket.socket(family)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(address)
    except OSError as error:
        raise PortUnusable.at(host, port, error) from error
    with holder:
        yield holder


@contextlib.contextmanager
def shared(host: str, port: int) -> Iterator[socket.socket]:
    """A socket that listens beside those of other processes: the kernel deals clients out to them.

    Raises:
        PortUnusable: says why.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, _, _, _, address = found[0]
        listener = socket.create_server(
            address[:2], family=family, backlog=BACKLOG, reuse_port=True
        )
    except OSError as error:
        raise PortUnusable.at(host, port, error) from error
    with listener:
        yield listener


def address_of(listener: socket.socket, *, scheme: str = "http") -> str:
    """The service's address for a program on this machine, such as `http://127.0.0.1:8080`."""
    host, port = listener.getsockname()[:2]
    host = _EVERY_INTERFACE.get(host, host)
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def is_loopback(listener: socket.socket) -> bool:
    """Whether only programs on this machine can reach the socket."""
    host = str(listener.getsockname()[0])
    return host.startswith("127.") or host == "::1"
