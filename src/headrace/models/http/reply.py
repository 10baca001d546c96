"""A response to be awaited: what most callers want."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing

from headrace.errors import ModelUnavailable
from headrace.models.http.exchange import Exchange
from headrace.models.http.head import Head

__all__ = ["Inbox", "Reply"]

MAX_WHOLE_BODY_BYTES = 64 * 1024 * 1024
PAUSE_ABOVE_BYTES = 1024 * 1024
"""Unread bytes of a stream above which the server is made to wait."""


class Inbox:
    """Keeps what has arrived until it is asked for."""

    __slots__ = ("_failure", "_head", "_is_complete", "_pieces", "_unread", "_waiter", "exchange")

    def __init__(self) -> None:
        self.exchange: Exchange | None = None
        self._head: Head | None = None
        self._pieces: deque[bytes] = deque()
        self._unread = 0
        self._is_complete = False
        self._failure: ModelUnavailable | None = None
        self._waiter: asyncio.Future[None] | None = None

    def began(self, head: Head) -> None:
        self._head = head
        self._wake()

    def received(self, data: bytes) -> None:
        self._pieces.append(data)
        self._unread += len(data)
        if self._unread > PAUSE_ABOVE_BYTES and self.exchange is not None:
            self.exchange.pause()
        if self._waiter is not None:
            self._wake()

    def ended(self) -> None:
        self._is_complete = True
        self._wake()

    def failed(self, error: ModelUnavailable) -> None:
        self._failure = error
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def _changed(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    async def head(self) -> Head:
        """The response's head, once it is here."""
        while self._head is None:
            if self._failure is not None:
                raise self._failure
            await self._changed()
        return self._head

    async def next_piece(self) -> bytes | None:
        """More of the body, or None at its end."""
        pieces = self._pieces
        while not pieces:
            if self._is_complete:
                return None
            if self._failure is not None:
                raise self._failure
            # `_changed`, once more: here a coroutine less is a tenth of a piece's cost.
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        piece = pieces.popleft()
        if pieces:
            piece += b"".join(pieces)
            pieces.clear()
        if self._unread > PAUSE_ABOVE_BYTES and self.exchange is not None:
            self.exchange.resume()
        self._unread = 0
        return piece


class Reply:
    """A response: status and headers are complete, the body comes from `chunks` or `read`."""

    __slots__ = ("_head", "_inbox")

    def __init__(self, head: Head, inbox: Inbox) -> None:
        self._head = head
        self._inbox = inbox

    @property
    def status(self) -> int:
        return self._head.status

    @property
    def headers(self) -> Mapping[str, str]:
        """By name in lower case."""
        return self._head.headers

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The body as it arrives.

        Raises:
            DeploymentTimeout: the server went silent.
            ModelUnavailable: it broke off.
        """
        while (piece := await self._inbox.next_piece()) is not None:
            yield piece

    async def read(self) -> bytes:
        """The whole body, at most 64 MiB."""
        pieces: list[bytes] = []
        size = 0
        async with aclosing(self.chunks()) as chunks:
            async for piece in chunks:
                size += len(piece)
                if size > MAX_WHOLE_BODY_BYTES:
                    raise ModelUnavailable("the model server's response is larger than 64 MiB")
                pieces.append(piece)
        return b"".join(pieces)
