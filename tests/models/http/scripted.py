"""Servers that say exactly what a test wants, on asyncio's own streams."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from headrace.models.http import Address, HttpClient

__all__ = ["CHUNKED", "OK", "Listening", "Script", "always", "asked", "get", "listening", "serving"]

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
CHUNKED = (
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n6;x=y\r\n \xe6\xb0\xb4!!\r\n0\r\n\r\n"
)
Script = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Listening:
    """A server, and what has come to it."""

    address: Address
    made: list[asyncio.StreamWriter] = field(default_factory=list)
    """One for each connection so far."""
    gone: int = 0
    """Connections that have ended."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def open(self) -> int:
        return len(self.made) - self.gone

    async def until_open(self, count: int) -> None:
        """Wait until so many connections are open."""
        while self.open != count:
            self.changed.clear()
            await self.changed.wait()


@asynccontextmanager
async def listening(
    script: Script, *, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1"
) -> AsyncIterator[Listening]:
    """A server that runs `script` on each connection."""
    tasks: list[asyncio.Task[None] | None] = []
    running = Listening(Address())

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        running.made.append(writer)
        running.changed.set()
        tasks.append(asyncio.current_task())
        try:
            await script(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client has gone, or the test is over
        finally:
            running.gone += 1
            running.changed.set()
            writer.close()

    server = await asyncio.start_server(connected, host, 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    running.address = Address(host=host, port=port, tls=tls is not None)
    try:
        yield running
    finally:
        server.close()
        for writer in running.made:
            writer.close()
        for task in tasks:
            if task is not None:
                task.cancel()
        await asyncio.gather(*(task for task in tasks if task is not None))


@asynccontextmanager
async def serving(script: Script) -> AsyncIterator[tuple[HttpClient, list[asyncio.StreamWriter]]]:
    """A client of a server that runs `script` on each connection."""
    async with listening(script) as server:
        client = HttpClient(server.address)
        try:
            yield client, server.made
        finally:
            client.close()


async def asked(reader: asyncio.StreamReader) -> bytes:
    """One request: its head and body."""
    head = await reader.readuntil(b"\r\n\r\n")
    lines = head.lower().split(b"\r\n")
    lengths = [int(line[15:]) for line in lines if line.startswith(b"content-length")]
    return head + await reader.readexactly(sum(lengths))


def always(reply: bytes, *, then_close: bool = False) -> Script:
    async def script(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await asked(reader)
            writer.write(reply)
            await writer.drain()
            if then_close:
                return

    return script


async def get(client: HttpClient, *, keep_alive: bool = True) -> tuple[int, bytes]:
    async with client.request("GET", "/x", keep_alive=keep_alive) as reply:
        return reply.status, await reply.read()
