"""The supervisor: starts the workers, starts again what dies, hands edits on, and stops them all.

It answers no request itself. What there is once per service is here: the lock of the home, the
port, the weights' runtimes, `service.json`. When it ends, however it ends, its workers do.
"""

import asyncio
import contextlib
import logging
import os
import random
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from headrace.access.audit import AuditLog
from headrace.access.keys import KeyStore
from headrace.access.limits.mapped.limiter import fill
from headrace.config.load import home_dir, load_service
from headrace.console.session import Sessions
from headrace.ids import new_id
from headrace.models.store import ModelStore
from headrace.privacy.vault import Vault
from headrace.server.front import certificate_of
from headrace.server.listen import address_of, is_loopback, reserved
from headrace.server.records import take_in_journal, take_in_workers
from headrace.server.signals import Signals
from headrace.server.state import (
    LIMITS_FILE,
    LOCK_FILE,
    RunningService,
    announce,
    database_of,
    gateway_of,
    withdraw,
)
from headrace.server.wanted import Started, Stopped, Wanted
from headrace.server.workers.errors import WorkerFailed
from headrace.server.workers.message import (
    Begin,
    Drain,
    Drained,
    End,
    Failed,
    Learned,
    LearnKeys,
    LeaveRuntime,
    NeedRuntime,
    Prepared,
    Ready,
    RuntimeIs,
    ToSupervisor,
)
from headrace.server.workers.process import WorkerProcess, how_it_ended
from headrace.server.workers.reload import Vote
from headrace.server.workers.runtimes import RuntimeHost
from headrace.server.workers.seat import boot_of
from headrace.storage.database import Database
from headrace.storage.errors import HomeInUse
from headrace.storage.lock import HomeLock
from headrace.telemetry.store import TraceStore

__all__ = ["supervise"]

FIRST_PAUSE_S = 0.05
LONGEST_PAUSE_S = 30.0
STEADY_AFTER_S = 30.0
"""A worker that ran this long starts its back-off afresh."""
ORPHANS_S = 3.0
MORE_S = 15.0
"""What a worker may take beyond `server.drain_s` to end; then it is killed."""

_log = logging.getLogger(__name__)


async def supervise(wanted: Wanted, workers: int) -> None:
    """Serve with that many workers until told to stop. Raises as `run`, and WorkerFailed."""
    began = time.perf_counter()
    root = wanted.root
    loaded = load_service(root, wanted.environ)
    config = loaded.server
    home = home_dir(root, wanted.environ)
    certificate = certificate_of(root, config)
    host, port = wanted.host or config.host, config.port if wanted.port is None else wanted.port
    with (
        reserved(host, port) as holder,
        Signals() as signals,
        _opened(home, wanted, workers, loaded.database) as state,
        _folder() as folder,
    ):
        url = address_of(holder, scheme="https" if certificate else "http")
        begin = Begin(
            slot=0,
            workers=workers,
            root=str(root),
            home=str(home),
            host=host,
            port=holder.getsockname()[1],
            folder=str(folder),
            boot="",
        )
        crew = _Crew(wanted, begin, ends_within_s=config.drain_s + MORE_S)
        try:
            ready = await crew.start(signals)
            admin_secret = state.keys.ensure_admin(home)
            if admin_secret is not None:
                await crew.learn_keys()
            shown = str(certificate.path.absolute()) if certificate else ""
            # Whoever finds it from now on finds the first key, too, and that every worker knows it.
            announce(
                home,
                RunningService(
                    url=url,
                    pid=os.getpid(),
                    started_at=time.time(),
                    certificate=shown,
                    workers=workers,
                ),
            )
            if certificate is None and not is_loopback(holder):
                _log.warning("other machines can reach this port without TLS: docs/security.md")
            wanted.ready(
                Started(
                    url=url,
                    home=home,
                    name=ready.name,
                    builtin=ready.builtin,
                    admin_secret=admin_secret,
                    release=ready.release,
                    interrupted=state.interrupted,
                    ready_s=time.perf_counter() - began,
                    workers=workers,
                )
            )
            signals.on_second = crew.stop_at_once
            await crew.run(signals.stopping)
            _log.info("stopping: running answers get up to %g s", config.drain_s)
            # The port first, or clients would be connected that nobody takes.
            holder.close()
            await crew.stop()
        finally:
            await crew.close()
            withdraw(home)


class _State:
    """What is opened and brought in order before the first worker starts."""

    def __init__(self, keys: KeyStore, interrupted: int) -> None:
        self.keys = keys
        self.interrupted = interrupted


@contextlib.contextmanager
def _opened(home: Path, wanted: Wanted, workers: int, setting: str | None) -> Iterator[_State]:
    """The home, locked, with all that earlier runs left taken in; what is left at the end too.

    Raises:
        HomeInUse: a service runs on this home already.
        StateUnusable: the state cannot be opened.
    """
    database = Database.open(database_of(setting, home))
    try:
        vault = Vault.open(database, home, environ=wanted.environ)
        Sessions.open(home)
        take_in_journal(home, database)
        lock = HomeLock.acquire(home / LOCK_FILE)
        try:
            _take_in_workers(home, database)
            own = gateway_of(home) if database.is_postgres else ""
            interrupted = TraceStore(database, vault).close_unfinished("", of=own)
            fill(home / LIMITS_FILE, workers, database, now=time.time())
            audit = AuditLog(database, lambda: vault.audit_secret)
            yield _State(KeyStore.open(database, audit), interrupted)
            take_in_workers(home, database)
        finally:
            lock.release()
    finally:
        database.close()


def _take_in_workers(home: Path, database: Database) -> None:
    """`take_in_workers`; those of a service that was killed may live a moment longer than it."""
    until = time.monotonic() + ORPHANS_S
    while True:
        try:
            take_in_workers(home, database)
        except HomeInUse:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
        else:
            return


@contextlib.contextmanager
def _folder() -> Iterator[Path]:
    """For the workers' sockets: short, because the path of one ends at 107 bytes."""
    folder = tempfile.mkdtemp(prefix="headrace-")
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Crew:
    """The workers, by slot."""

    def __init__(self, wanted: Wanted, begin: Begin, *, ends_within_s: float) -> None:
        self._wanted = wanted
        self._begin = begin
        self._ends_within_s = ends_within_s
        self._folder = Path(begin.folder)
        self._running: dict[int, WorkerProcess] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._is_stopping = False
        self._is_starting = True
        self._ready: dict[int, asyncio.Future[Ready]] = {}
        self._learning: set[WorkerProcess] = set()
        self._learned = asyncio.Event()
        self._vote = Vote(wanted.root, Path(begin.home), lambda: list(self._running.values()))
        self._runtimes = RuntimeHost(
            ModelStore(Path(begin.home) / "models", root=wanted.root),
            begin.workers,
            self._tell,
            wanted.progress,
        )

    async def start(self, signals: Signals) -> Ready:
        """Start all of them, and wait until each answers.

        Raises:
            WorkerFailed: one could not.
            Stopped: told to stop meanwhile.
        """
        loop = asyncio.get_running_loop()
        for slot in range(self._begin.workers):
            self._ready[slot] = loop.create_future()
            self._keepers.append(asyncio.create_task(self._keep(slot)))
        starting = asyncio.create_task(self._all_ready())
        stopping = asyncio.create_task(signals.stopping.wait())
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not starting.done():
            starting.cancel()
            raise Stopped("stopped before the service answered")
        ready = await starting
        self._is_starting = False
        return ready

    async def _all_ready(self) -> Ready:
        """What the first one says of the service, once all of them answer."""
        return (await asyncio.gather(*self._ready.values()))[0]

    async def learn_keys(self) -> None:
        """Let every worker know the keys there are now."""
        self._learning = set(self._running.values())
        for worker in self._running.values():
            worker.tell(LearnKeys())
        await self._learned.wait()

    async def run(self, stopping: asyncio.Event) -> None:
        """Keep them running until it is time to stop."""
        voting = asyncio.create_task(self._vote.run())
        try:
            await stopping.wait()
        finally:
            voting.cancel()

    def stop_at_once(self) -> None:
        """Do not wait for what runs."""
        for worker in self._running.values():
            worker.tell(Drain(at_once=True))

    async def stop(self) -> None:
        """Let them drain, then end; one that does not is killed."""
        self._is_stopping = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._ends_within_s):
                workers = list(self._running.values())
                for worker in workers:
                    worker.tell(Drain())
                await asyncio.gather(*(worker.has_drained.wait() for worker in workers))
                for worker in workers:
                    worker.tell(End())
                await asyncio.gather(*self._keepers)

    async def close(self) -> None:
        """End whatever still runs."""
        self._is_stopping = True
        for worker in self._running.values():
            if not self._is_starting:
                _log.warning("worker %d is killed: it did not end in time", worker.slot)
            worker.kill()
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)
        await self._runtimes.close()

    async def _keep(self, slot: int) -> None:
        """Have a worker in a slot for as long as it is wanted."""
        try:
            await self._keep_on(slot)
        except Exception as error:
            _log.exception("worker %d cannot be kept running", slot)
            if not self._ready[slot].done():
                self._ready[slot].set_exception(error)
            raise

    async def _keep_on(self, slot: int) -> None:
        pause_s = FIRST_PAUSE_S
        loop = asyncio.get_running_loop()
        while not self._is_stopping:
            began = loop.time()
            status = await self._one(slot)
            if self._is_stopping or not self._has_started(slot):
                break
            if loop.time() - began > STEADY_AFTER_S:
                pause_s = FIRST_PAUSE_S
            _log.warning(
                "worker %d ended (%s); it starts again in about %.1f s",
                slot,
                how_it_ended(status),
                pause_s,
            )
            # Jitter keeps workers that die of the same cause from loading in step.
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - not a secret
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
        if not self._ready[slot].done():
            self._ready[slot].set_exception(WorkerFailed(f"worker {slot} ended as it started"))

    def _has_started(self, slot: int) -> bool:
        """Whether a worker in that slot ever answered."""
        ready = self._ready[slot]
        return ready.done() and not ready.cancelled() and ready.exception() is None

    async def _one(self, slot: int) -> int:
        """One process in a slot, from its start to its end; its exit status."""
        begin = _for_slot(self._begin, slot)
        worker, living = await WorkerProcess.start(begin, self._wanted.environ, self._heard)
        self._running[slot] = worker
        try:
            return await asyncio.shield(living)
        except asyncio.CancelledError:
            worker.kill()
            await asyncio.wait([living])
            raise
        finally:
            del self._running[slot]
            # At once: who has a request for it then waits for its successor.
            (self._folder / f"{slot}.sock").unlink(missing_ok=True)
            self._runtimes.forget(slot)
            self._vote.gone(worker)
            self._has_learned(worker)

    def _heard(self, worker: WorkerProcess, said: ToSupervisor) -> None:
        slot = worker.slot
        match said:
            case Ready():
                worker.is_ready = True
                if not self._ready[slot].done():
                    self._ready[slot].set_result(said)
                elif not self._is_starting:
                    _log.info("worker %d answers again", slot)
                    if said.interrupted:
                        _log.warning("%d turns were interrupted", said.interrupted)
            case Failed(failure=failure):
                error = WorkerFailed(failure.message, hint=failure.hint)
                if not self._ready[slot].done():
                    self._ready[slot].set_exception(error)
                else:
                    _log.error("worker %d cannot start: %s", slot, failure.message)
            case Prepared():
                self._vote.heard(worker, said)
            case Learned():
                self._has_learned(worker)
            case Drained():
                worker.has_drained.set()
            case NeedRuntime():
                self._runtimes.need(slot, said)
            case LeaveRuntime():
                self._runtimes.leave(slot, said)

    def _has_learned(self, worker: WorkerProcess) -> None:
        self._learning.discard(worker)
        if not self._learning:
            self._learned.set()

    def _tell(self, slot: int, message: RuntimeIs) -> None:
        worker = self._running.get(slot)
        if worker is not None:
            worker.tell(message)


def _for_slot(begin: Begin, slot: int) -> Begin:
    return msgspec.structs.replace(begin, slot=slot, boot=boot_of(slot, new_id()))
