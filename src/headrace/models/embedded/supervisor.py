"""Keeps the worker process running: starts it, notices its death, starts it again.

Not covered: a worker that lives but no longer answers. llama.cpp has no such state that we know of.
"""

import asyncio
import contextlib
import logging
import os
import random
import shutil
import signal
import sys
import tempfile
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec

from headrace.errors import ModelUnavailable
from headrace.models.embedded.worker import WorkerSettings

__all__ = ["Supervisor"]

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 30.0
STEADY_AFTER_S = 60.0
"""A worker that ran this long starts its back-off afresh."""
START_TIMEOUT_S = 300.0
WORTH_WAITING_S = 2.0
"""Requests wait for the next start while the pause before it is no longer than this."""

_log = logging.getLogger(__name__)


class Supervisor:
    """One worker process, restarted with growing pauses for as long as it is wanted."""

    def __init__(
        self, settings: WorkerSettings, *, changed: Callable[[], object] = lambda: None
    ) -> None:
        """
        Args:
            changed: called whenever `is_ready`, `is_awaited` or `pid` may say something else.
        """
        # Unix socket paths end at 107 bytes, so the socket lives in a short folder of its own.
        self._folder = tempfile.mkdtemp(prefix="headrace-")
        self.socket = str(Path(self._folder) / "model.sock")
        self._settings = msgspec.structs.replace(settings, socket=self.socket)
        self._changed = changed
        self._process: asyncio.subprocess.Process | None = None
        self._is_ready = False
        self._settled = asyncio.Event()
        """Set while it answers, and while nobody should wait until it does."""
        self._keeper: asyncio.Task[None] | None = None
        self._listeners: list[asyncio.Task[None]] = []
        self._said: deque[str] = deque(maxlen=40)
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def is_ready(self) -> bool:
        return self._is_ready

    @property
    def is_awaited(self) -> bool:
        """Whether it does not answer, but is about to."""
        return not self._settled.is_set()

    async def start(self) -> None:
        """Start the worker and wait until it answers.

        Raises:
            ModelUnavailable: it ended or took too long; says what it printed.
        """
        try:
            await self._launch()
        except BaseException:
            shutil.rmtree(self._folder, ignore_errors=True)
            raise
        self._keeper = asyncio.create_task(self._keep())

    async def wait_ready(self, timeout_s: float) -> bool:
        """Whether the worker answers within `timeout_s`.

        False at once while its starts fail or it keeps dying: a request must not wait for a model
        that is not about to answer. It is started again all the same, and then serves.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._settled.wait()
        return self._is_ready

    async def stop(self) -> None:
        """End the worker; running generations end with it."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.wait({self._keeper})
        await self._end()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _end(self) -> None:
        self._is_ready = False
        self._settled.set()
        self._changed()
        process, self._process = self._process, None
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await process.wait()
        await self._heard()

    async def _heard(self) -> None:
        """Wait until all that the worker printed is read."""
        if self._listeners:
            # Not `gather`: cancelling this must not cancel them, for `stop` waits for them again.
            await asyncio.wait(self._listeners)
        self._listeners.clear()

    async def _launch(self) -> None:
        self._forget_socket()
        self._said.clear()
        try:
            process = self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",  # a file `json.py` in the service's folder must not take the place of Python's
                "-m",
                "headrace.models.embedded.worker",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                # The user's own choice wins. Why 300: docs/decisions/0033-runtime-threads.md.
                env={"GOMP_SPINCOUNT": "300", **_environment(), "PYTHONUNBUFFERED": "1"},
            )
        except OSError as error:
            raise ModelUnavailable(
                f"the model process cannot be started: {error.strerror or error}",
                hint="`headrace doctor` checks memory, weights and the runtime",
            ) from error
        assert process.stdout is not None
        assert process.stderr is not None
        self._listeners.append(asyncio.create_task(self._listen(process.stderr)))
        try:
            came_up = await self._comes_up(process)
        except BaseException:
            # Cancelled while loading: the process must not outlive the wish for it.
            await self._end()
            raise
        if not came_up:
            ended = process.returncode
            await self._end()
            raise ModelUnavailable(
                f"the model process did not start{_how(ended)}: {self._last_words()}",
                hint="`headrace doctor` checks memory, weights and the runtime",
            )
        self._listeners.append(asyncio.create_task(self._listen(process.stdout)))
        self._is_ready = True
        self._settled.set()
        self._changed()

    def _forget_socket(self) -> None:
        """Remove what a killed worker left; its successor could not listen there."""
        Path(self.socket).unlink(missing_ok=True)

    async def _comes_up(self, process: asyncio.subprocess.Process) -> bool:
        """Tell the worker what to do, and wait for its word."""
        assert process.stdin is not None
        assert process.stdout is not None
        line = b""
        # The pipe breaks when the worker ends before it has read what to do.
        with contextlib.suppress(TimeoutError, OSError):
            process.stdin.write(msgspec.json.encode(self._settings) + b"\n")
            async with asyncio.timeout(START_TIMEOUT_S):
                while (line := await process.stdout.readline()) and line != b"ready\n":
                    self._said.append(line.decode(errors="replace").rstrip())
                if not line:
                    await process.wait()
        return line == b"ready\n"

    async def _listen(self, stream: asyncio.StreamReader) -> None:
        """Keep the last lines of what the worker prints, so that its pipe never fills up."""
        while True:
            try:
                line = await stream.readline()
            except ValueError:
                continue  # a line longer than the buffer: not worth keeping
            if not line:
                return
            self._said.append(line.decode(errors="replace").rstrip())

    def _last_words(self) -> str:
        said = [line for line in self._said if line.strip()]
        return " / ".join(said[-3:]) or "it printed nothing"

    async def _keep(self) -> None:
        pause_s = FIRST_PAUSE_S
        loop = asyncio.get_running_loop()
        began = loop.time()
        while True:
            if self._process is not None:
                ended = await self._process.wait()
                if loop.time() - began > STEADY_AFTER_S:
                    pause_s = FIRST_PAUSE_S
                # Both at once: in between, a request would think that waiting is in vain.
                self._is_ready = False
                if pause_s <= WORTH_WAITING_S:
                    self._settled.clear()
                self._changed()
                await self._heard()
                _log.warning(
                    "the model process ended%s; it starts again in about %.1f s",
                    _how(ended),
                    pause_s,
                )
            # Jitter keeps several services on one machine from loading weights in step.
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - not a secret
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            self.restarts += 1
            began = loop.time()
            try:
                await self._launch()
            except ModelUnavailable as error:
                # Tried again after the next pause; requests get 503 at once meanwhile.
                _log.error("%s; next try in about %.1f s", error.message, pause_s)


def _how(returncode: int | None) -> str:
    """How a process ended, as people say it."""
    if returncode is None:
        return ""
    if returncode < 0:
        with contextlib.suppress(ValueError):
            return f" ({signal.Signals(-returncode).name})"
    return f" (exit status {returncode})"


def _environment() -> dict[str, str]:
    """This process's environment without what the worker has no business to know."""
    return {name: value for name, value in os.environ.items() if name != "HEADRACE_MASTER_KEY"}
