"""Workflows beside a running service: one process of their own, when there is something to run.

It is started when a workflow of the folder runs by itself, or a run waits for somebody; kept while
it lasts, started again when it dies, and ended with the service.
"""

import asyncio
import logging
import sys
import time
from collections.abc import Mapping
from pathlib import Path

import msgspec

from headrace.pipeline.service import Platform
from headrace.server.workers.process import how_it_ended
from headrace.storage.database import Database
from headrace.workflows.lease import Lease
from headrace.workflows.occasion import Occasions
from headrace.workflows.step import Place
from headrace.workflows.store import RunStore
from headrace.workflows.worker import Orders

__all__ = ["WorkflowProcess"]

LOOK_EVERY_S = 2.0
WAITS_FOR_S = 2.0
"""A run that is made by `headrace workflow run` is begun by that command; who waits longer needs us."""
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0
END_S = 20.0

_log = logging.getLogger(__name__)


class WorkflowProcess:
    """Sees to the process. One process of a home runs it."""

    def __init__(self, platform: Platform, root: Path, environ: Mapping[str, str]) -> None:
        self._database = platform.database
        self._place = Place(root=root, home=platform.home, environ=environ)
        self._occasions = Occasions(RunStore(platform.database), self._place)

    async def run(self) -> None:
        """Look until cancelled."""
        pause_s = FIRST_PAUSE_S
        while True:
            if not await asyncio.to_thread(self._is_wanted):
                await asyncio.sleep(LOOK_EVERY_S)
                continue
            began = time.monotonic()
            status = await self._one()
            if time.monotonic() - began > LONGEST_PAUSE_S:
                pause_s = FIRST_PAUSE_S
            _log.warning(
                "the process of workflows ended (%s); it starts again in %.0f s",
                how_it_ended(status),
                pause_s,
            )
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    def _is_wanted(self) -> bool:
        if next(self._occasions.workflows(), None) is not None:
            return True
        store = RunStore(self._database)
        living = store.runs(statuses=("queued", "running"), oldest_first=True)
        if not living:
            return False
        dead = set(Lease(self._database, self._place.home).dead())
        since = time.time() - WAITS_FOR_S
        return any(
            run.executor in dead or (run.status == "queued" and run.created_at < since)
            for run in living
        )

    async def _one(self) -> int:
        """One process, from its start to its end."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "headrace.workflows.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=sys.stderr,
            env=dict(self._place.environ),
            start_new_session=True,
        )
        assert process.stdin is not None
        orders = Orders(
            root=str(self._place.root),
            home=str(self._place.home),
            database=_address(self._database),
        )
        try:
            process.stdin.write(msgspec.json.encode(orders) + b"\n")
            await process.stdin.drain()
            return await process.wait()
        except ConnectionError:
            return await process.wait()
        finally:
            if process.returncode is None:
                process.stdin.close()
                await self._ended(process)

    async def _ended(self, process: asyncio.subprocess.Process) -> None:
        """Let it stop in good order, as it does when its input closes."""
        try:
            async with asyncio.timeout(END_S):
                await process.wait()
        except (TimeoutError, asyncio.CancelledError):
            process.kill()
            await process.wait()


def _address(database: Database) -> str:
    return database.engine.url.render_as_string(hide_password=False)
