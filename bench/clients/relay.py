"""The least that can stand before the runtime: whatever comes is passed on, byte for byte.

Who compares a gateway with the bare runtime compares with this, too: it is what another hop costs
before anything is read, checked or kept.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

__all__ = ["relaying"]


class _Up(asyncio.Protocol):
    """What the runtime says."""

    def __init__(self, down: asyncio.Transport) -> None:
        self._down = down

    def data_received(self, data: bytes) -> None:
        self._down.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._down.close()


class _Down(asyncio.Protocol):
    """What the client says; kept until the runtime is reached."""

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._transport: asyncio.Transport | None = None
        self._up: asyncio.Transport | None = None
        self._early = b""
        self._reaching: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._reaching = asyncio.create_task(self._reach(self._transport))

    async def _reach(self, transport: asyncio.Transport) -> None:
        loop = asyncio.get_running_loop()
        self._up, _ = await loop.create_unix_connection(lambda: _Up(transport), self._socket)
        self._up.write(self._early)

    def data_received(self, data: bytes) -> None:
        if self._up is None:
            self._early += data
        else:
            self._up.write(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._up is not None:
            self._up.close()


@asynccontextmanager
async def relaying(socket: str) -> AsyncIterator[str]:
    """Listens as long as it is held; gives `host:port`."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Down(socket), "127.0.0.1", 0)
    async with server:
        host, port = server.sockets[0].getsockname()[:2]
        yield f"{host}:{port}"
