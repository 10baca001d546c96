"""A server in a process of its own, which speaks over its standard input and output."""

import asyncio
import contextlib
import itertools
import logging
import os
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from headrace.errors import HeadraceError
from headrace.pipeline.tools.errors import ToolUnavailable
from headrace.pipeline.tools.mcp.wire import (
    MAX_MESSAGE_BYTES,
    Incoming,
    decode,
    encode,
    response_to,
)

__all__ = ["StdioConnection"]

_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR")
"""Of this process's environment, a server gets these: its keys are no server's business."""
_GRACE_S = 2.0

_log = logging.getLogger(__name__)


class StdioConnection:
    """One running server."""

    def __init__(self, process: asyncio.subprocess.Process, name: str) -> None:
        self._process = process
        self._name = name
        self._ids = itertools.count(1)
        self._waiting: dict[int | str, asyncio.Future[bytes]] = {}
        self._reason = ""
        self._tasks = [
            asyncio.create_task(self._read()),
            asyncio.create_task(self._log_errors()),
        ]

    @classmethod
    async def open(
        cls, command: Sequence[str], env: Mapping[str, str], root: Path, name: str
    ) -> Self:
        """Start it; raises ToolUnavailable."""
        kept = {key: value for key in _KEPT if (value := os.environ.get(key)) is not None}
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env={**kept, **env},
                cwd=root,
                limit=MAX_MESSAGE_BYTES,
                # A group of its own, so that what it starts ends with it.
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise ToolUnavailable(
                f"the command {command[0]!r} cannot be started: {reason}",
                hint="check that it is installed, and its path",
            ) from error
        return cls(process, name)

    @property
    def is_open(self) -> bool:
        return not self._reason

    def agreed(self, version: str) -> None:
        del version  # here it is said once, by `initialize`

    async def request(self, method: str, params: Mapping[str, object]) -> bytes:
        request_id = next(self._ids)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = future
        try:
            await self._send(encode(method, params, request_id))
            return await future
        except asyncio.CancelledError:
            if self.is_open and method != "initialize":
                self._write(
                    encode("notifications/cancelled", {"requestId": request_id, "reason": "gone"})
                )
            raise
        finally:
            self._waiting.pop(request_id, None)

    async def notify(self, method: str, params: Mapping[str, object]) -> None:
        await self._send(encode(method, params))

    async def close(self) -> None:
        """End the process: its input closes, then it is asked, then it is killed."""
        self._lost("the service has closed it")
        assert self._process.stdin is not None
        self._process.stdin.close()
        for number in (signal.SIGTERM, signal.SIGKILL):
            self._kill(number)
            try:
                async with asyncio.timeout(_GRACE_S):
                    await self._process.wait()
            except TimeoutError:
                continue
            break
        self._kill(signal.SIGKILL)  # what it has left in its group
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _kill(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    async def _send(self, message: bytes) -> None:
        if self._reason:
            raise ToolUnavailable(self._reason)
        self._write(message)
        assert self._process.stdin is not None
        try:
            await self._process.stdin.drain()
        except (ConnectionError, OSError) as error:
            self._lost("the tool's server has ended")
            raise ToolUnavailable(self._reason) from error

    def _write(self, message: bytes) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(message + b"\n")

    async def _read(self) -> None:
        assert self._process.stdout is not None
        reason = "the tool's server has ended"
        try:
            while line := await self._process.stdout.readline():
                if line.strip():
                    for message in decode(line):
                        self._take(message)
        except ValueError:
            # A line longer than the limit. Its rest would have to be read to go on.
            reason = f"the tool's server sent more than {MAX_MESSAGE_BYTES} bytes in one message"
        except HeadraceError as error:
            reason = error.message
        except OSError as error:
            reason = f"the tool's server cannot be read: {error.strerror}"
        self._lost(reason)
        self._kill(signal.SIGKILL)

    def _take(self, message: Incoming) -> None:
        if message.method is not None:
            if (response := response_to(message)) is not None:
                self._write(response)
            return
        future = self._waiting.pop(message.id, None) if message.id is not None else None
        if future is None or future.done():
            return  # Nobody waits for it any more.
        try:
            future.set_result(message.value())
        except HeadraceError as error:
            future.set_exception(error)

    def _lost(self, reason: str) -> None:
        self._reason = self._reason or reason
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ToolUnavailable(self._reason))
        self._waiting.clear()

    async def _log_errors(self) -> None:
        """What the server says of itself; never lets its pipe fill up."""
        assert self._process.stderr is not None
        while data := await self._process.stderr.read(4096):
            _log.debug("%s: %s", self._name, data.decode("utf-8", "replace").rstrip())
