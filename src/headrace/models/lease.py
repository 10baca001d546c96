"""Counting who uses a backend, so that it is stopped only when nobody does."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager

__all__ = ["Leases"]


class Leases:
    """The calls that one backend is serving, for whichever models and services."""

    def __init__(self) -> None:
        self._count = 0
        self._changed = asyncio.Event()

    @property
    def count(self) -> int:
        """Calls that run now."""
        return self._count

    def take(self) -> None:
        """A call begins; `give_back` must follow once."""
        self._count += 1
        self._changed.set()

    def give_back(self) -> None:
        """It has ended."""
        self._count -= 1
        self._changed.set()

    @contextmanager
    def hold(self) -> Generator[None, None, None]:
        """One call, for as long as the block runs."""
        self.take()
        try:
            yield
        finally:
            self.give_back()

    async def quiet(self, quiet_s: float, within_s: float) -> bool:
        """Wait until no call has run for `quiet_s`; False when that is not so `within_s`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + within_s
        while (left_s := deadline - loop.time()) > 0:
            self._changed.clear()
            idle = self._count == 0
            try:
                async with asyncio.timeout(min(quiet_s, left_s) if idle else left_s):
                    await self._changed.wait()
            except TimeoutError:
                if idle and quiet_s <= left_s:
                    return True
        return False
