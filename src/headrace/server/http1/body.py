"""A request's body as it arrives, for whoever reads it: whole, or piece by piece."""

import asyncio
import math
from collections.abc import Callable

from headrace.errors import PayloadTooLarge
from headrace.server.http1.chunked import ChunkReader
from headrace.server.http1.errors import MalformedRequest
from headrace.server.http1.limits import READ_AHEAD_BYTES

__all__ = ["Body", "BodyClock", "too_large"]

_FRAMING_BYTES = 16 * 1024
_FRAMING_PER_BYTE = 16
"""A body may have so much framing, and so much more per byte; chunks of one byte have 5."""


class Body:
    """Bytes that have come and nobody has taken yet, and who waits for more.

    Kept in one `bytearray`: a list of pieces would let chunks of one byte cost fifty.
    """

    __slots__ = (
        "_chunks", "_data", "_failure", "_left", "_on_end", "_on_taken", "_on_wanted", "_waiter", "_want",
        "has_arrived", "is_complete",
    )  # fmt: skip

    def __init__(
        self,
        length: int | None,
        *,
        on_wanted: Callable[[], None],
        on_taken: Callable[[], None],
    ) -> None:
        """
        Args:
            length: None for a chunked body.
            on_wanted: called when somebody begins to wait for more than has come.
            on_taken: called when there is room again.
        """
        self._left = length or 0
        self._chunks = ChunkReader() if length is None else None
        self._data = bytearray()
        self._on_end: Callable[[], None] | None = None
        self._want = 0
        self._waiter: asyncio.Future[None] | None = None
        self._failure: Exception | None = None
        self._on_wanted = on_wanted
        self._on_taken = on_taken
        self.has_arrived = 0
        """Bytes of the body so far, whether taken or not."""
        self.is_complete = False

    @property
    def is_full(self) -> bool:
        """Whether no more should be read from the client for now."""
        return len(self._data) > max(READ_AHEAD_BYTES, self._want)

    @property
    def is_awaited(self) -> bool:
        return self._waiter is not None or self._on_end is not None

    @property
    def still_to_come(self) -> int | None:
        """Bytes; None when the client has not said how many."""
        return None if self._chunks is not None else self._left

    def feed(self, packet: bytes) -> bytes:
        """Take what belongs to the body; gives what follows it.

        Raises:
            MalformedRequest: the framing is wrong.
        """
        before = len(self._data)
        if self._chunks is None:
            rest = packet[self._left :]
            self._data += packet[: self._left]
            self._left -= len(packet) - len(rest)
            self.is_complete = not self._left
            self.has_arrived += len(self._data) - before
        else:
            rest = self._chunks.feed(packet, self._data)
            self.is_complete = self._chunks.is_complete
            self.has_arrived += len(self._data) - before
            if self._chunks.overhead > _FRAMING_BYTES + _FRAMING_PER_BYTE * self.has_arrived:
                raise MalformedRequest("the chunked body has far more framing than content")
        if self.is_complete or len(self._data) >= self._want:
            self._wake()
        return rest

    def fail(self, failure: Exception) -> None:
        """No more will come; whoever reads gets this error."""
        if self._failure is None and not self.is_complete:
            self._failure = failure
        self._wake()

    def call_at_end(self, callback: Callable[[], None]) -> None:
        """Call this once, soon after the body is whole or has failed; it is awaited until then."""
        self._on_end = callback
        self._on_wanted()

    def taken_whole(self) -> bytes | None:
        """All of it, if it is here and nobody has read any of it."""
        if not self.is_complete or len(self._data) != self.has_arrived:
            return None
        return self._take()

    def discard(self) -> None:
        """Throw away what has come; nobody reads it any more."""
        self._data.clear()

    async def whole(self, limit: int) -> bytes:
        """All of it. See `Exchange.body`."""
        if self._left > limit:
            raise too_large(limit)
        await self._until(limit + 1)
        if len(self._data) > limit:
            raise too_large(limit)
        return self._take()

    async def piece(self) -> bytes:
        """What has come, or else what comes next; empty at the end."""
        await self._until(1)
        return self._take()

    async def _until(self, size: int) -> None:
        """Wait until so many bytes are there, or all that will ever come."""
        self._want = size
        while len(self._data) < size and not self.is_complete:
            if self._failure is not None:
                raise self._failure
            self._waiter = asyncio.get_running_loop().create_future()
            self._on_wanted()
            try:
                await self._waiter
            finally:
                self._waiter = None
        self._want = 0

    def _take(self) -> bytes:
        data = bytes(self._data)
        self._data.clear()
        if not self.is_complete:
            self._on_taken()
        return data

    def _wake(self) -> None:
        if self._on_end is not None and (self.is_complete or self._failure is not None):
            asyncio.get_running_loop().call_soon(self._on_end)
            self._on_end = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class BodyClock:
    """How much time a client has left to send its body; runs only while somebody waits for it."""

    __slots__ = ("_left_s", "_since")

    def __init__(self, left_s: float = math.inf) -> None:
        self._left_s = left_s
        self._since = math.inf

    @property
    def deadline(self) -> float:
        """When the time is over, if nothing more comes."""
        return self._since + self._left_s

    def run(self, now: float) -> None:
        self._since = now

    def stop(self, now: float) -> None:
        if self._since < math.inf:
            self._left_s -= now - self._since
            self._since = math.inf

    def grant(self, more_s: float) -> None:
        self._left_s += more_s


def too_large(limit: int) -> PayloadTooLarge:
    """What is said about a body that is larger than its reader takes."""
    return PayloadTooLarge(
        f"the request body is larger than {limit:,} bytes",
        hint="send less, or raise server.max_body_bytes in headrace.yaml",
    )
