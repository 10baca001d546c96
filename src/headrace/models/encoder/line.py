"""Who is computed next: the call with the least left to do.

Calls are cut into small batches. After each the shortest call goes on, so that a question waits
for one batch of a large import and not for all of it. One that waits long moves up all the same.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, TypeVar

__all__ = ["Line"]

T = TypeVar("T")

PATIENCE_S = 2.0
"""Time in line after which a call goes before shorter ones that came later."""


@dataclass(eq=False, slots=True)
class _Job(Generic[T]):
    """A call's batches, computed one at a time."""

    batches: list[Callable[[], T]]
    cost: int
    """Tokens left."""
    costs: list[int]
    since: float
    future: asyncio.Future[list[T]]
    done: list[T] = field(default_factory=list)


class Line(Generic[T]):
    """Runs batches in one thread, shortest call first. Belongs to one event loop."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._jobs: list[_Job[T]] = []
        self._thread: ThreadPoolExecutor | None = None
        self._runner: asyncio.Task[None] | None = None

    async def run(self, batches: list[Callable[[], T]], costs: list[int]) -> list[T]:
        """The results of the batches, in order. Whoever stops waiting leaves the line."""
        loop = asyncio.get_running_loop()
        job = _Job(batches, sum(costs), costs, self._clock(), loop.create_future())
        self._jobs.append(job)
        if self._runner is None or self._runner.done():
            self._runner = loop.create_task(self._work(), name="encoder-line")
        try:
            return await job.future
        finally:
            if job in self._jobs:
                self._jobs.remove(job)

    async def close(self) -> None:
        """Let the batch that runs end; those in line fail."""
        for job in self._jobs:
            job.future.cancel()
        if self._runner is not None:
            await asyncio.gather(self._runner, return_exceptions=True)
        if self._thread is not None:
            self._thread.shutdown(wait=False)
            self._thread = None

    async def _work(self) -> None:
        loop = asyncio.get_running_loop()
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, "encoder")
        while job := self._next():
            batch = job.batches[len(job.done)]
            try:
                result = await loop.run_in_executor(self._thread, batch)
            except Exception as error:  # noqa: BLE001 - it is whoever asked for the batch that has to know
                if not job.future.done():
                    job.future.set_exception(error)
                self._leave(job)
                continue
            job.cost -= job.costs[len(job.done)]
            job.done.append(result)
            if len(job.done) == len(job.batches):
                if not job.future.done():
                    job.future.set_result(job.done)
                self._leave(job)

    def _next(self) -> _Job[T] | None:
        waiting = [each for each in self._jobs if not each.future.done()]
        if not waiting:
            return None
        oldest = min(waiting, key=lambda each: each.since)
        if self._clock() - oldest.since > PATIENCE_S:
            oldest.since = self._clock()  # one batch, then the short ones again
            return oldest
        return min(waiting, key=lambda each: each.cost)

    def _leave(self, job: _Job[T]) -> None:
        if job in self._jobs:
            self._jobs.remove(job)
