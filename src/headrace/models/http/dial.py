"""Opening a connection: name, socket, proxy, TLS, and what went wrong on the way."""

import asyncio
import os
import socket
import ssl
import time
from collections import deque
from collections.abc import Sequence

from headrace.errors import ModelUnavailable
from headrace.models.http.connection import Connection, Owner
from headrace.models.http.peer import Peer
from headrace.models.http.resolve import Endpoint, Resolver
from headrace.models.http.tls import context_for

__all__ = ["Dialer"]

NEXT_ADDRESS_AFTER_S = 0.25
"""Head start of an address over the next one (RFC 8305, section 8)."""
MAX_PROXY_HEAD_BYTES = 16 * 1024


class Dialer:
    """Opens connections to one server."""

    def __init__(self, peer: Peer, resolver: Resolver) -> None:
        self._peer = peer
        self._resolver = resolver
        self._context_is_made = False
        self.rtt_s: float | None = None
        """How long the latest TCP connection took to stand: a round trip. None through a proxy."""

    async def dial(self, owner: Owner) -> Connection:
        """A new connection; cancelling leaves nothing open.

        Raises:
            ModelUnavailable: nobody answers there, or not in time.
            DeploymentMisconfigured: certificate, proxy or TLS settings are wrong.
        """
        stage = ["looking up the name"]
        limit = self._peer.timeouts.connect_s
        try:
            async with asyncio.timeout(limit) as timer:
                return await self._dial(owner, stage)
        except ssl.SSLError as error:
            raise self._peer.tls_error(error) from error
        except OSError as error:
            why = _text(error)
            if isinstance(error, TimeoutError) and timer.expired():
                why = f"{stage[0]} took longer than {limit:g} s"
            elif stage[0] != "connecting":
                why = f"{stage[0]} failed ({why})"
            at = self._peer.proxy or self._peer.address
            who = "proxy" if self._peer.proxy else "model server"
            raise ModelUnavailable(
                f"no {who} answers at {at}: {why}",
                hint="is it running, and is the address right?",
            ) from error

    async def _dial(self, owner: Owner, stage: list[str]) -> Connection:
        connection = Connection(owner, self._peer)
        try:
            await self._connect(connection, stage)
        except BaseException:
            connection.abandon()
            raise
        return connection

    async def _connect(self, connection: Connection, stage: list[str]) -> None:
        loop = asyncio.get_running_loop()
        peer, address = self._peer, self._peer.address

        def made() -> Connection:
            return connection

        if address.socket is not None:
            stage[0] = "connecting"
            await loop.create_unix_connection(made, address.socket)
            return
        context = await self._tls_context() if address.tls else None
        sock = await self._open_socket(stage)
        try:
            if peer.proxy is not None and context is not None:
                stage[0] = "asking the proxy"
                await self._tunnel(sock)
        except BaseException:
            sock.close()
            raise
        # From here on the transport owns the socket.
        if context is None:
            await loop.create_connection(made, sock=sock)
            return
        stage[0] = "the TLS handshake"
        name = peer.tls.server_name or address.host.partition("%")[0].removesuffix(".")
        await loop.create_connection(made, sock=sock, ssl=context, server_hostname=name)

    async def _tls_context(self) -> ssl.SSLContext:
        if self._context_is_made:
            return context_for(self._peer.tls)  # asks whether its files are the same, no more
        context = await asyncio.to_thread(context_for, self._peer.tls)
        self._context_is_made = True
        return context

    async def _open_socket(self, stage: list[str]) -> socket.socket:
        peer = self._peer
        host, port = peer.address.host, peer.address.port
        if peer.proxy is not None:
            host, port = peer.proxy.host, peer.proxy.port
        endpoints, is_new = await self._resolver.endpoints(host, port)
        stage[0] = "connecting"
        try:
            return await self._timed(endpoints)
        except OSError:
            if is_new:
                raise
            renewed, _ = await self._resolver.endpoints(host, port, anew=True)
            if set(renewed) == set(endpoints):
                raise
            return await self._timed(renewed)

    async def _timed(self, endpoints: Sequence[Endpoint]) -> socket.socket:
        began = time.monotonic()
        connected = await _first(endpoints)
        if self._peer.proxy is None:
            self.rtt_s = time.monotonic() - began
        return connected

    async def _tunnel(self, sock: socket.socket) -> None:
        """Have the proxy connect this socket with the server."""
        loop = asyncio.get_running_loop()
        proxy, address = self._peer.proxy, self._peer.address
        assert proxy is not None
        await loop.sock_sendall(sock, proxy.connect(address))
        head = b""
        while b"\r\n\r\n" not in head:
            piece = await loop.sock_recv(sock, 4096)
            head += piece
            if not piece and not head:
                raise ModelUnavailable(f"the proxy {proxy} hung up without an answer")
            if not piece or len(head) > MAX_PROXY_HEAD_BYTES:
                break
        proxy.check(head, address)


async def _first(endpoints: Sequence[Endpoint]) -> socket.socket:
    """The first socket that connects: each address gets a head start, then they race."""
    if len(endpoints) == 1:
        return await _connected(endpoints[0])
    rest = deque(endpoints)
    tasks: list[asyncio.Task[socket.socket]] = []
    failures: list[str] = []
    last: BaseException | None = None
    won: asyncio.Task[socket.socket] | None = None
    waiting: set[asyncio.Task[socket.socket]] = set()
    try:
        while rest or waiting:
            if rest:
                endpoint = rest.popleft()
                tasks.append(asyncio.create_task(_connected(endpoint), name=str(endpoint)))
                waiting.add(tasks[-1])
            done, waiting = await asyncio.wait(
                waiting,
                timeout=NEXT_ADDRESS_AFTER_S if rest else None,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for task in done:
                last = task.exception()
                if last is None:
                    won = task
                    return task.result()
                failures.append(f"{task.get_name()}: {_text(last)}")
    finally:
        for task in tasks:
            if task is not won:
                task.cancel()
                task.add_done_callback(_close)
    raise OSError(0, "; ".join(failures)) from last


def _close(task: asyncio.Task[socket.socket]) -> None:
    """Close what lost the race, or was abandoned."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def _connected(endpoint: Endpoint) -> socket.socket:
    sock = socket.socket(endpoint.family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, endpoint.sockaddr)
    except BaseException:
        sock.close()
        raise
    return sock


def _text(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno:
        return os.strerror(error.errno)
    if isinstance(error, ConnectionError) and not str(error):
        return "the connection broke off"
    return str(getattr(error, "strerror", None) or str(error) or type(error).__name__)
