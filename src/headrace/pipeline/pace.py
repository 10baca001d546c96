"""Work on the event loop in slices, so that a long conversation does not hold up other answers."""

import asyncio
import time

__all__ = ["Pace"]

SLICE_S = 0.005
"""Less than the time between two tokens."""


class Pace:
    """Lets others go first once a slice of time is used up."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until = time.perf_counter() + SLICE_S

    async def rest(self) -> None:
        """Call it between two pieces of work; nearly always it returns at once."""
        if time.perf_counter() > self._until:
            await asyncio.sleep(0)
            self._until = time.perf_counter() + SLICE_S
