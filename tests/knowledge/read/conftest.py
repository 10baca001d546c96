"""A web server that says what a test tells it to, and names that lead where a test wants."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Sequence
from typing import TypeAlias

import pytest

__all__ = ["Names", "Site"]

Answer: TypeAlias = bytes


class Names:
    """A resolver: what each name stands for, one answer a lookup, the last one for good."""

    def __init__(self, **answers: Sequence[Sequence[str]]) -> None:
        self.answers = {name.replace("_", "."): list(each) for name, each in answers.items()}
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        left = self.answers[host]
        return left.pop(0) if len(left) > 1 else left[0]


class Site:
    """Speaks HTTP/1.1 as raw bytes, one answer a path; keeps what it was asked."""

    def __init__(self) -> None:
        self.pages: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.gone = asyncio.Event()
        """Set when a client hangs up on an answer that never ends."""
        self._servers: list[asyncio.Server] = []

    async def listen(self, context: ssl.SSLContext | None = None) -> int:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0, ssl=context)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    def page(self, path: str, body: bytes, *, status: str = "200 OK", **headers: str) -> None:
        told = {"content-type": "text/plain", "content-length": str(len(body))}
        told |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in told.items())]
        self.pages[path] = "\r\n".join([*lines, "", ""]).encode() + body

    def redirect(self, path: str, to: str) -> None:
        self.page(path, b"", status="302 Found", location=to)

    def close(self) -> None:
        for server in self._servers:
            server.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.asked.append(head)
            answer = self.pages[head.split(" ")[1]]
            writer.write(answer)
            await writer.drain()
            while b"x-endless" in answer.partition(b"\r\n\r\n")[0]:
                writer.write(b"10000\r\n" + b"x" * 0x10000 + b"\r\n")
                await writer.drain()
            if b"x-silent" in answer.partition(b"\r\n\r\n")[0]:
                await reader.read()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            self.gone.set()
            writer.close()


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    made = Site()
    yield made
    made.close()
