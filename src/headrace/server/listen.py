"""The listening socket: taken before anything slow begins, so that a taken port is said at once."""

import contextlib
import socket
from collections.abc import Iterator

from headrace.server.errors import PortUnusable

__all__ = ["address_of", "is_loopback", "listening"]

BACKLOG = 2048
_EVERY_INTERFACE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - shown, not bound


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


def address_of(listener: socket.socket, *, scheme: str = "http") -> str:
    """The service's address for a program on this machine, such as `http://127.0.0.1:8080`."""
    host, port = listener.getsockname()[:2]
    host = _EVERY_INTERFACE.get(host, host)
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def is_loopback(listener: socket.socket) -> bool:
    """Whether only programs on this machine can reach the socket."""
    host = str(listener.getsockname()[0])
    return host.startswith("127.") or host == "::1"
