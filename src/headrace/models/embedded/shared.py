"""One process for several models: it starts with the first that wants it and ends with the last."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import msgspec

from headrace.models.embedded.runtime import Runtime, runtime_for
from headrace.models.embedded.settings import RuntimeSettings
from headrace.models.progress import Progress
from headrace.models.store import ModelStore

__all__ = ["SharedRuntime", "Turns"]


class Turns:
    """Lets the calls of one adapter at a time through; the one that waits longest is the next.

    llama.cpp puts only calls of the same adapter into a batch, and passes over the others for as
    long as any of them runs. So whoever comes while others wait, waits behind them.
    """

    def __init__(self) -> None:
        self._inside = 0
        self._current: int | None = None
        self._waiting: OrderedDict[int, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def take(self, adapter: int) -> AsyncIterator[None]:
        """One call, for as long as the block runs."""
        await self._enter(adapter)
        try:
            yield
        finally:
            self._leave()

    async def _enter(self, adapter: int) -> None:
        if not self._waiting and self._current in (None, adapter):
            self._current = adapter
            self._inside += 1
            return
        come: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue = self._waiting.setdefault(adapter, deque())
        queue.append(come)
        try:
            await come
        except asyncio.CancelledError:
            if not come.cancelled():
                self._leave()  # it was let in at this very moment
            else:
                queue.remove(come)
                if not queue and self._waiting.get(adapter) is queue:
                    del self._waiting[adapter]
            raise

    def _leave(self) -> None:
        self._inside -= 1
        while not self._inside:
            self._current = None
            if not self._waiting:
                return
            self._current, queue = self._waiting.popitem(last=False)
            # Some may have been cancelled without having heard of it yet.
            for each in (come for come in queue if not come.done()):
                self._inside += 1
                each.set_result(None)


class _Counted:
    """A runtime and those who use it."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.turns = Turns()
        self.users: set[SharedRuntime] = set()
        self.starting = asyncio.Lock()
        self.has_started = False


_running: dict[tuple[str, bytes], _Counted] = {}
"""By home and settings: what this process has several models on."""


class SharedRuntime:
    """`Runtime`, used by this model and others."""

    def __init__(self, settings: RuntimeSettings, store: ModelStore, home: Path) -> None:
        self._key = (str(home), msgspec.json.encode(settings))
        found = _running.get(self._key)
        if found is None:
            found = _running[self._key] = _Counted(runtime_for(settings, store))
        self._used = found
        found.users.add(self)

    @property
    def turns(self) -> Turns:
        """Of the process's calls."""
        return self._used.turns

    @property
    def socket(self) -> str:
        return self._used.runtime.socket

    @property
    def digest(self) -> str:
        return self._used.runtime.digest

    @property
    def pid(self) -> int | None:
        return self._used.runtime.pid

    async def start(self, progress: Progress | None = None) -> None:
        """See `Runtime`. Only the first of its users starts it; the others wait."""
        counted = self._used
        try:
            async with counted.starting:
                if not counted.has_started:
                    await counted.runtime.start(progress)
                    counted.has_started = True
        except BaseException:
            await self.stop()
            raise

    def is_ready(self) -> bool:
        return self._used.runtime.is_ready()

    async def wait_ready(self, timeout_s: float) -> bool:
        """See `Runtime`."""
        return await self._used.runtime.wait_ready(timeout_s)

    def alone(self) -> AbstractAsyncContextManager[None]:
        """See `Runtime`."""
        return self._used.runtime.alone()

    async def stop(self) -> None:
        """The last user ends it."""
        counted = self._used
        counted.users.discard(self)
        if not counted.users and _running.get(self._key) is counted:
            del _running[self._key]
            await counted.runtime.stop()
