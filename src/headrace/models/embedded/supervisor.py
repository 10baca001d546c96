"""Keeps the worker process running: starts it, notices its death, starts it again."""

import asyncio
import contextlib
import os
import random
import shutil
import sys
import tempfile
from collections import deque
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


class Supervisor:
    """One worker process, restarted with growing pauses for as long as it is wanted."""

    def __init__(self, settings: WorkerSettings) -> None:
        # Unix socket paths end at 107 bytes, so the socket lives in a short folder of its own.
        self._folder = tempfile.mkdtemp(prefix="headrace-")
        self.socket = str(Path(self._folder) / "model.sock")
        self._settings = msgspec.structs.replace(settings, socket=self.socket)
        self._process: asyncio.subprocess.Process | None = None
        self._ready = asyncio.Event()
        self._keeper: asyncio.Task[None] | None = None
        self._said: deque[str] = deque(maxlen=40)
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    def is_ready(self) -> bool:
        return self._ready.is_set()

    async def start(self) -> None:
        """Start the worker and wait until it answers.

        Raises:
            ModelUnavailable: it ended or took too long; says what it printed.
        """
        await self._launch()
        self._keeper = asyncio.create_task(self._keep())

    async def wait_ready(self, timeout_s: float) -> bool:
        """Whether the worker answers within `timeout_s`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await self._ready.wait()
        return self._ready.is_set()

    async def stop(self) -> None:
        """End the worker; running generations end with it."""
        if self._keeper is not None:
            self._keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._keeper
        await self._end()
        shutil.rmtree(self._folder, ignore_errors=True)

    async def _end(self) -> None:
        self._ready.clear()
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await process.wait()
        self._process = None

    async def _launch(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            Path(self.socket).unlink()
        process = self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # a file `json.py` in the service's folder must not take the place of Python's
            "-m",
            "headrace.models.embedded.worker",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self._said.clear()
        listener = asyncio.create_task(self._listen(process.stderr))
        try:
            process.stdin.write(msgspec.json.encode(self._settings) + b"\n")
            async with asyncio.timeout(START_TIMEOUT_S):
                while (line := await process.stdout.readline()) and line != b"ready\n":
                    self._said.append(line.decode(errors="replace").rstrip())
        except (TimeoutError, OSError):
            line = b""
        except BaseException:
            # Cancelled while loading: the process must not outlive the wish for it.
            await self._end()
            raise
        if not line:
            await self._end()
            await listener
            raise ModelUnavailable(
                f"the model process did not start: {self._last_words()}",
                hint="`headrace doctor` checks memory, weights and the runtime",
            )
        self._drain = asyncio.create_task(self._listen(process.stdout))
        self._ready.set()

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
        while True:
            began = loop.time()
            if self._process is not None:
                await self._process.wait()
                self._ready.clear()
            if loop.time() - began > STEADY_AFTER_S:
                pause_s = FIRST_PAUSE_S
            # Jitter keeps several services on one machine from loading weights in step.
            await asyncio.sleep(pause_s * random.uniform(0.5, 1.5))  # noqa: S311 - not a secret
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            self.restarts += 1
            with contextlib.suppress(ModelUnavailable):
                # A failed start is tried again after the next pause; requests get 503 meanwhile.
                await self._launch()
