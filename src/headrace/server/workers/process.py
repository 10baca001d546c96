"""One worker as its supervisor sees it: a process, and what is said to and by it."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping

import msgspec

from headrace.server.workers.message import Begin, ToSupervisor, ToWorker, encode

__all__ = ["WorkerProcess", "how_it_ended"]

_decode = msgspec.json.Decoder(ToSupervisor).decode
_LINE_BYTES = 1024 * 1024

_log = logging.getLogger(__name__)


class WorkerProcess:
    """Starts with `start`; ends when it is told to, or by itself."""

    def __init__(self, slot: int, process: asyncio.subprocess.Process) -> None:
        self.slot = slot
        self.pid = process.pid
        self.has_drained = asyncio.Event()
        self.is_ready = False
        self._process = process

    @classmethod
    async def start(
        cls,
        begin: Begin,
        environ: Mapping[str, str],
        heard: Callable[["WorkerProcess", ToSupervisor], None],
    ) -> tuple["WorkerProcess", "asyncio.Task[int]"]:
        """A worker, and a task that ends with it and gives its exit status.

        Args:
            heard: called with each thing it says.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # a file `json.py` in the service's folder must not take the place of Python's
            "-m",
            "headrace.server.workers.worker",
            str(begin.slot),  # for `ps`
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=dict(environ),
            limit=_LINE_BYTES,
            # Ctrl-C is for the supervisor, which then says what is to be done.
            start_new_session=True,
        )
        worker = cls(begin.slot, process)
        worker.tell(begin)
        return worker, asyncio.create_task(worker._live(heard))

    def tell(self, message: ToWorker) -> None:
        """Say something; a worker that has ended does not hear it."""
        assert self._process.stdin is not None
        if self._process.returncode is None and not self._process.stdin.is_closing():
            self._process.stdin.write(encode(message) + b"\n")

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    async def _live(self, heard: Callable[["WorkerProcess", ToSupervisor], None]) -> int:
        assert self._process.stdout is not None
        try:
            while line := await self._process.stdout.readline():
                heard(self, _decode(line))
            return await self._process.wait()
        except msgspec.MsgspecError:
            _log.exception("worker %d says what nobody understands", self.slot)
            raise
        finally:
            if self._process.returncode is None:
                self.kill()
                await self._process.wait()
            self.has_drained.set()


def how_it_ended(status: int) -> str:
    """How a process ended, as people say it."""
    if status < 0:
        with contextlib.suppress(ValueError):
            return signal.Signals(-status).name
    return f"exit status {status}"
