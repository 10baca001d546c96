"""One call upstream, and everybody who listens to it.

A task of its own draws the answer, so no listener's leaving breaks it off; when nobody listens any
more, it is cancelled. It draws as fast as the quickest listener takes, so one client alone holds
the model back as it would without this, and a slow one holds back nobody else. Pieces stay until
the end, up to a bound: an answer beyond it goes on, but nobody new may join it, and a listener that
far behind is let go.
"""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

import msgspec

from headrace.errors import ModelUnavailable
from headrace.models.ask import Asking
from headrace.types import Delta, Deltas

__all__ = ["Flight", "Listener"]

AHEAD = 64
"""Pieces that are drawn before the quickest listener has taken them."""
PIECE_BYTES = 160
"""Of one piece beside its texts; measured."""


class Listener:
    """One of those who listen. Listen once."""

    __slots__ = ("_flight", "at", "has_heard_all", "pays", "waiter")

    def __init__(self, flight: "Flight") -> None:
        self._flight = flight
        self.at = 0
        """The next piece."""
        self.has_heard_all = False
        self.pays = False
        """Whether the call is on this listener's bill: exactly one's, if that one stays."""
        self.waiter: asyncio.Future[None] | None = None

    async def deltas(self) -> Deltas:
        """The answer from its beginning; copies, so that nobody changes another's.

        Raises:
            HeadraceError: what broke the call off; each who listens hears it.
        """
        flight = self._flight
        try:
            while (delta := flight.piece(self)) is not None or await flight.more(self):
                if delta is not None:
                    yield delta
            self.has_heard_all = True
        finally:
            await flight.leave(self)


class Flight:
    """See the module. `take_off` it, then `join` it as often as wanted."""

    def __init__(
        self, ask: Asking, deltas: Deltas, *, max_bytes: int, ended: Callable[["Flight"], None]
    ) -> None:
        """
        Args:
            max_bytes: of pieces that are kept.
            ended: told once when nobody may join any more: it ended, broke off, is too long, or
                nobody listens. `is_whole` says which.
        """
        self.ask = ask
        self.pieces: list[Delta] = []
        self.is_whole = False
        """Whether the answer came to its end, and all of it is in `pieces`."""
        self._deltas = deltas
        self._max_bytes = max_bytes
        self._ended: Callable[[Flight], None] | None = ended
        self._listeners: dict[Listener, None] = {}
        self._base = 0
        """Pieces that were let go of at the beginning."""
        self._bytes = 0
        self._furthest = 0
        """Pieces that the quickest listener has taken."""
        self._is_over = False
        self._error: Exception | None = None
        self._room: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    def take_off(self) -> None:
        """Begin to draw the answer."""
        self._task = asyncio.create_task(self._draw(), name="cache-flight")

    def join(self) -> Listener:
        """One more who listens, from the beginning. Whoever joins must listen."""
        listener = Listener(self)
        listener.pays = not self._listeners
        self._listeners[listener] = None
        return listener

    def piece(self, listener: Listener) -> Delta | None:
        """The listener's next piece; None: there is none yet, or no more."""
        at = listener.at - self._base
        if at < 0:
            raise ModelUnavailable(
                "the client fell too far behind the answer that it shared", hint="ask again"
            )
        if at >= len(self.pieces):
            return None
        listener.at += 1
        if listener.at > self._furthest:
            self._furthest = listener.at
        if self._room is not None and not self._room.done():
            self._room.set_result(None)
        return _copy(self.pieces[at])

    async def more(self, listener: Listener) -> bool:
        """Wait for the next piece. False: the answer is whole."""
        if self._is_over:
            if self._error is not None:
                # Many raise it: what each adds to its traceback would pile up.
                raise self._error.with_traceback(None)
            return False
        listener.waiter = asyncio.get_running_loop().create_future()
        try:
            await listener.waiter
        finally:
            listener.waiter = None
        return True

    async def leave(self, listener: Listener) -> None:
        """Stop listening. The last to leave ends the call, and waits until it has ended."""
        if listener not in self._listeners:
            return
        del self._listeners[listener]
        if not listener.has_heard_all and listener.pays and self._listeners:
            listener.pays = False
            next(iter(self._listeners)).pays = True
        if not self._listeners:
            await self.cancel()
            return
        self._furthest = max(each.at for each in self._listeners)

    async def cancel(self) -> None:
        """Break the call off, if it has not ended."""
        task = self._task
        if task is None or task.done():
            return
        self._close()
        task.cancel()
        await asyncio.wait([task])
        if not self._is_over:
            # Cancelled before its first step, so it could not say so itself.
            self._over(ModelUnavailable("the service is stopping"))

    async def _draw(self) -> None:
        try:
            async with aclosing(self._deltas) as deltas:
                async for delta in deltas:
                    self._add(delta)
                    while self._is_ahead():
                        await self._taken()
        except asyncio.CancelledError:
            # Nobody listens, or the service stops.
            self._over(ModelUnavailable("the service is stopping", hint="try again in a moment"))
        except Exception as error:  # noqa: BLE001 - raised by each who listens
            self._over(error)
        else:
            self.is_whole = self._base == 0
            self._over(None)

    def _over(self, error: Exception | None) -> None:
        self._error = error
        self._is_over = True
        # First kept, then told: whoever asks again at once finds the answer.
        self._close()
        self._wake()

    def _add(self, delta: Delta) -> None:
        self.pieces.append(delta)
        self._bytes += PIECE_BYTES + len(delta.text) + len(delta.reasoning) + len(delta.refusal)
        if self._bytes > self._max_bytes:
            self._close()
            self._forget()
        self._wake()

    def _forget(self) -> None:
        """Let go of what all have heard, and of those who are too far behind."""
        behind = min((each.at for each in self._listeners), default=0)
        # Twice the bound, so that a listener which keeps up never loses what it has yet to hear.
        if self._bytes > 2 * self._max_bytes:
            behind = self._furthest
        # Those let go of before are still here until they ask for more.
        behind = max(behind, self._base)
        for delta in self.pieces[: behind - self._base]:
            self._bytes -= PIECE_BYTES + len(delta.text) + len(delta.reasoning) + len(delta.refusal)
        del self.pieces[: behind - self._base]
        self._base = behind

    def _is_ahead(self) -> bool:
        return self._base + len(self.pieces) - self._furthest >= AHEAD

    async def _taken(self) -> None:
        """Until a listener has taken a piece, or one has left."""
        self._room = asyncio.get_running_loop().create_future()
        try:
            await self._room
        finally:
            self._room = None

    def _wake(self) -> None:
        for listener in self._listeners:
            if listener.waiter is not None and not listener.waiter.done():
                listener.waiter.set_result(None)

    def _close(self) -> None:
        if self._ended is not None:
            ended, self._ended = self._ended, None
            ended(self)


def _copy(delta: Delta) -> Delta:
    copied = msgspec.structs.replace(delta)
    if copied.usage is not None:
        copied.usage = msgspec.structs.replace(copied.usage)
    return copied
