"""Keeps the worker process running: starts it, notices its death, starts it again.

One that lives but no longer answers (frozen, out of memory to run in) is ended, and so starts
again. Not covered: one whose server answers while its model does not get on; that cannot be told
from a large model on a slow machine.
"""

import asyncio
import contextlib
import logging
import os
import random
import signal
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path

import msgspec

from headrace.errors import ModelUnavailable
from headrace.models.embedded.worker import WorkerSettings
from headrace.models.http import Address, HttpClient
from headrace.storage.socket_folder import SocketFolder

__all__ = ["Supervisor"]

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 30.0
STEADY_AFTER_S = 60.0
"""A worker that ran this long starts its back-off afresh."""
START_TIMEOUT_S = 300.0
WORTH_WAITING_S = 2.0
"""Requests wait for the next start while the pause before it is no longer than this."""
LOOK_EVERY_S = 5.0
"""Pause between two looks at whether the worker still answers."""
ANSWER_WITHIN_S = 10.0
"""Its server has threads of its own, so even a busy model answers in milliseconds."""
MOST_SILENCES = 2
"""Looks in a row without an answer before the worker is ended."""

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
        self._folder = SocketFolder()
        self.socket = str(self._folder.path / "model.sock")
        self._settings = msgspec.structs.replace(settings, socket=self.socket)
        self._changed = changed
        self._process: asyncio.subprocess.Process | None = None
        self._is_ready = False
        self._settled = asyncio.Event()
        """Set while it answers, and while nobody should wait until it does."""
        self._keeper: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None
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
            self._folder.remove()
            raise
        self._keeper = asyncio.create_task(self._keep())
        self._watcher = asyncio.create_task(self._watch())

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
        tasks = {task for task in (self._keeper, self._watcher) if task is not None}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        await self._end()
        self._folder.remove()

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

    async def _watch(self) -> None:
        """End a worker that does not answer any more; `_keep` starts the next."""
        watched, silences = self._process, 0
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            if self._process is not watched or not self._is_ready:
                watched, silences = self._process, 0
                continue
            silences = 0 if await self._answers() else silences + 1
            if silences < MOST_SILENCES or watched is None or watched.returncode is not None:
                continue
            _log.error("the model process (pid %d) does not answer; it is ended", watched.pid)
            with contextlib.suppress(ProcessLookupError):
                watched.kill()

    async def _answers(self) -> bool:
        client = HttpClient(Address(socket=self.socket))
        try:
            async with (
                asyncio.timeout(ANSWER_WITHIN_S),
                client.request("GET", "/health", keep_alive=False) as reply,
            ):
                await reply.read()
                return True
        except (TimeoutError, ModelUnavailable):
            return False
        finally:
            client.close()


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
