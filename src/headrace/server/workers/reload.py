"""Edited files reach all workers or none: each loads them, and only if all could, all use them.

`Vote` is the supervisor's side, `Candidate` a worker's.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path

from headrace.config.watch import ServiceFiles
from headrace.errors import HeadraceError
from headrace.pipeline.service import Platform, Service
from headrace.server.knowledge import retire, watched_files
from headrace.server.load import ServiceLoader
from headrace.server.reload import LOOK_EVERY_S, say_unusable, take_over
from headrace.server.workers.message import Commit, Drop, Failure, Prepare, Prepared
from headrace.server.workers.process import WorkerProcess

__all__ = ["Candidate", "Vote", "fingerprint_of"]

_log = logging.getLogger(__name__)


def fingerprint_of(files: ServiceFiles) -> str:
    """How the files stand, in a word that all workers have alike."""
    return hashlib.sha256(repr(files.fingerprint()).encode()).hexdigest()


class Vote:
    """Watches the files, and asks the workers."""

    def __init__(
        self, root: Path, home: Path, workers: Callable[[], Sequence[WorkerProcess]]
    ) -> None:
        """
        Args:
            workers: those that run now.
        """
        self._files = ServiceFiles(root, watched_files(home))
        self._workers = workers
        self._used = self._seen = fingerprint_of(self._files)
        self._version = 0
        self._waiting: dict[WorkerProcess, asyncio.Future[Prepared | None]] = {}

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            seen, self._seen = self._seen, await asyncio.to_thread(fingerprint_of, self._files)
            if seen == self._seen != self._used:
                await self._ask(seen)

    def heard(self, worker: WorkerProcess, said: Prepared) -> None:
        """A worker has loaded the files, or could not."""
        waiting = self._waiting.get(worker)
        if waiting is not None and said.version == self._version and not waiting.done():
            waiting.set_result(said)

    def gone(self, worker: WorkerProcess) -> None:
        """A worker has ended; its successor loads the files as they are."""
        waiting = self._waiting.get(worker)
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    async def _ask(self, fingerprint: str) -> None:
        self._version += 1
        loop = asyncio.get_running_loop()
        voters = [each for each in self._workers() if each.is_ready]
        self._waiting = {each: loop.create_future() for each in voters}
        for each in voters:
            each.tell(Prepare(version=self._version))
        said = [each for each in await asyncio.gather(*self._waiting.values()) if each is not None]
        failed = next((each.failure for each in said if each.failure is not None), None)
        moved = any(each.fingerprint != fingerprint for each in said)
        verdict = Drop(version=self._version) if failed or moved else Commit(version=self._version)
        for each in voters:
            each.tell(verdict)
        if failed is not None:
            say_unusable(failed.message, failed.hint)
        if not moved:
            self._used = fingerprint


class Candidate:
    """A service that a worker has loaded and does not use yet."""

    def __init__(self, platform: Platform, loader: ServiceLoader) -> None:
        self._platform = platform
        self._loader = loader
        self._files = ServiceFiles(loader.root, watched_files(loader.home))
        self._prepared: tuple[int, Service] | None = None
        self._retiring: set[asyncio.Task[None]] = set()

    async def prepare(self, version: int) -> Prepared:
        """Load the files as they are now."""
        before = await asyncio.to_thread(fingerprint_of, self._files)
        try:
            service = await self._loader.load(reuse=self._platform.service.models)
        except HeadraceError as error:
            return Prepared(version=version, fingerprint=before, failure=Failure.of(error))
        except Exception as error:  # noqa: BLE001 - a plug-in's defect must not end the worker
            _log.exception("the changed files cannot be used")
            failure = Failure(type(error).__name__, str(error))
            return Prepared(version=version, fingerprint=before, failure=failure)
        self._prepared = (version, service)
        after = await asyncio.to_thread(fingerprint_of, self._files)
        return Prepared(version=version, fingerprint=before if before == after else "")

    def commit(self, version: int) -> None:
        """Use it. Turns that began with the old service end with it."""
        prepared, self._prepared = self._prepared, None
        if prepared is None or prepared[0] != version:
            return
        old = self._platform.service
        take_over(self._platform, prepared[1])
        self._later(retire(self._platform.service, old))

    def drop(self, version: int) -> None:
        """Do not use it; what was started for it ends."""
        prepared, self._prepared = self._prepared, None
        if prepared is not None and prepared[0] == version:
            self._later(retire(self._platform.service, prepared[1], unused=True))

    def _later(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
