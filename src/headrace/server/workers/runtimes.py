"""Weights are loaded once: the supervisor runs them, the workers ask on its runtimes' sockets.

`RuntimeHost` is the supervisor's side, `SharedRuntimes` a worker's. A runtime that nobody holds any
more ends a minute later, so that a worker which is started again finds what its predecessor used.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import logging
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec

from headrace.errors import HeadraceError, ModelUnavailable
from headrace.models.embedded.runtime import OwnRuntime
from headrace.models.embedded.settings import RuntimeSettings
from headrace.models.progress import Progress
from headrace.models.store import ModelStore
from headrace.server.workers.message import (
    Failure,
    LeaveRuntime,
    NeedRuntime,
    RuntimeIs,
    ToSupervisor,
)

__all__ = ["RuntimeHost", "SharedRuntimes"]

KEPT_S = 60.0

_log = logging.getLogger(__name__)


class _Hosted:
    """A runtime with those who want it."""

    def __init__(self, runtime: OwnRuntime) -> None:
        self.runtime = runtime
        self.holders: set[int] = set()
        self.has_started = False
        self.task: asyncio.Task[None] | None = None
        self.ending: asyncio.TimerHandle | None = None


class RuntimeHost:
    """The runtimes of a service, in its supervisor."""

    def __init__(
        self,
        store: ModelStore,
        workers: int,
        tell: Callable[[int, RuntimeIs], None],
        progress: Progress,
    ) -> None:
        """
        Args:
            tell: says something to the worker of a slot, if it runs.
        """
        self._store = store
        self._workers = workers
        self._tell = tell
        self._progress = progress
        self._hosted: dict[str, _Hosted] = {}
        self._ends: set[asyncio.Task[None]] = set()

    def need(self, slot: int, wanted: NeedRuntime) -> None:
        """A worker wants a runtime; it is told how that stands, now and whenever it changes."""
        hosted = self._hosted.get(wanted.name)
        if hosted is None:
            name = wanted.name
            runtime = OwnRuntime(
                wanted.settings,
                self._store,
                callers=self._workers,
                changed=lambda: self._changed(name),
            )
            hosted = self._hosted[name] = _Hosted(runtime)
            hosted.task = asyncio.create_task(self._start(name, hosted))
        if hosted.ending is not None:
            hosted.ending.cancel()
            hosted.ending = None
        hosted.holders.add(slot)
        if hosted.has_started:
            self._tell(slot, _state(wanted.name, hosted.runtime))

    def leave(self, slot: int, left: LeaveRuntime) -> None:
        """A worker does not want it any more."""
        hosted = self._hosted.get(left.name)
        if hosted is not None:
            self._released(left.name, hosted, slot)

    def forget(self, slot: int) -> None:
        """A worker has ended, and holds nothing any more."""
        for name, hosted in tuple(self._hosted.items()):
            self._released(name, hosted, slot)

    async def close(self) -> None:
        """End all of them."""
        for name in tuple(self._hosted):
            self._end(name)
        if self._ends:
            await asyncio.wait(tuple(self._ends))

    def _released(self, name: str, hosted: _Hosted, slot: int) -> None:
        hosted.holders.discard(slot)
        if not hosted.holders and hosted.ending is None:
            loop = asyncio.get_running_loop()
            hosted.ending = loop.call_later(KEPT_S, self._end, name)

    async def _start(self, name: str, hosted: _Hosted) -> None:
        try:
            await hosted.runtime.start(self._progress)
        except HeadraceError as error:
            failed = RuntimeIs(name=name, failure=Failure.of(error))
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of it
            _log.exception("a runtime did not start")
            failed = RuntimeIs(name=name, failure=Failure("ModelUnavailable", str(error)))
        else:
            hosted.has_started = True
            self._changed(name)
            return
        # Whoever asks next, after an edit perhaps, has it tried anew.
        del self._hosted[name]
        for slot in hosted.holders:
            self._tell(slot, failed)

    def _changed(self, name: str) -> None:
        hosted = self._hosted.get(name)
        if hosted is not None and hosted.has_started:
            for slot in hosted.holders:
                self._tell(slot, _state(name, hosted.runtime))

    def _end(self, name: str) -> None:
        hosted = self._hosted.pop(name)
        if hosted.ending is not None:
            hosted.ending.cancel()
        task = asyncio.create_task(_stop(hosted))
        self._ends.add(task)
        task.add_done_callback(self._ends.discard)


async def _stop(hosted: _Hosted) -> None:
    if hosted.task is not None and not hosted.task.done():
        hosted.task.cancel()
        await asyncio.wait([hosted.task])
    await hosted.runtime.stop()


def _state(name: str, runtime: OwnRuntime) -> RuntimeIs:
    return RuntimeIs(
        name=name,
        socket=runtime.socket,
        digest=runtime.digest,
        pid=runtime.pid,
        is_ready=runtime.is_ready(),
        is_awaited=runtime.is_awaited,
    )


class SharedRuntimes:
    """A worker's view of the supervisor's runtimes; say `use_runtimes(it)`."""

    def __init__(self, say: Callable[[ToSupervisor], None]) -> None:
        self._say = say
        self._users: dict[str, set[_SharedRuntime]] = {}
        self._known: dict[str, RuntimeIs] = {}

    def __call__(self, settings: RuntimeSettings, store: ModelStore) -> "_SharedRuntime":
        del store  # the supervisor has its own, of the same folder
        return _SharedRuntime(self, settings)

    def told(self, state: RuntimeIs) -> None:
        """The supervisor says how a runtime stands."""
        self._known[state.name] = state
        for user in tuple(self._users.get(state.name, ())):
            user.told(state)

    def enter(self, name: str, user: "_SharedRuntime") -> None:
        users = self._users.setdefault(name, set())
        users.add(user)
        if len(users) == 1:
            self._known.pop(name, None)
            self._say(NeedRuntime(name=name, settings=user.settings))
        elif name in self._known:
            user.told(self._known[name])

    def leave(self, name: str, user: "_SharedRuntime") -> None:
        users = self._users.get(name, set())
        users.discard(user)
        if not users and self._users.pop(name, None) is not None:
            self._say(LeaveRuntime(name=name))


class _SharedRuntime:
    """`Runtime`, run by the supervisor."""

    def __init__(self, runtimes: SharedRuntimes, settings: RuntimeSettings) -> None:
        self.settings = settings
        self._runtimes = runtimes
        self._name = hashlib.sha256(msgspec.json.encode(settings)).hexdigest()[:32]
        self._state = RuntimeIs(name=self._name)
        self._told = asyncio.Event()
        self._settled = asyncio.Event()

    @property
    def socket(self) -> str:
        return self._state.socket

    @property
    def digest(self) -> str:
        return self._state.digest

    @property
    def pid(self) -> int | None:
        return self._state.pid

    def told(self, state: RuntimeIs) -> None:
        """How it stands from now on."""
        self._state = state
        self._told.set()
        if state.is_ready or not state.is_awaited:
            self._settled.set()
        else:
            self._settled.clear()

    async def start(self, progress: Progress | None = None) -> None:
        """See `Runtime`. The supervisor tells how far it is."""
        del progress
        self._runtimes.enter(self._name, self)
        try:
            await self._told.wait()
        except BaseException:
            await self.stop()
            raise
        failure = self._state.failure
        if failure is not None:
            await self.stop()
            raise ModelUnavailable(failure.message, hint=failure.hint)

    def is_ready(self) -> bool:
        return self._state.is_ready

    async def wait_ready(self, timeout_s: float) -> bool:
        """See `Runtime`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._settled.wait()
        return self._state.is_ready

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """See `Runtime`. A lock that the kernel drops with the process."""
        path = Path(self.socket).with_suffix(".alone")
        file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            await asyncio.to_thread(fcntl.flock, file, fcntl.LOCK_EX)
            yield
        finally:
            os.close(file)

    async def stop(self) -> None:
        """Others may go on with it."""
        self._state = msgspec.structs.replace(self._state, is_ready=False)
        self._settled.set()
        self._runtimes.leave(self._name, self)
