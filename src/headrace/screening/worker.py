"""A process for a detector that computes long: it can be ended, whatever the detector does.

A thread cannot be ended: one with a pattern that runs wild would keep a core busy for good. So such a
detector runs apart; texts go to it and spans come back over pipes, each with its length in front.

    python -m headrace.screening.worker NAME
"""

import asyncio
import subprocess
import sys
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from typing import IO

import msgspec

from headrace.screening.finding import Detector, Span

__all__ = ["DetectorFailed", "Worker", "serve"]

_HEAD = 4


class DetectorFailed(Exception):
    """The detector raised, or its process died. Says the error's class, never the text."""


class _Reply(msgspec.Struct, array_like=True):
    spans: list[Span]
    error: str = ""


class Worker:
    """Runs one installed detector in a process of its own, begun when it is first needed."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._asking: threading.Event | None = None
        """Whose text the process has; set once that caller has given up."""
        self._ender: weakref.finalize[[subprocess.Popen[bytes]], Worker] | None = None

    async def detect(self, text: str) -> Sequence[Span]:
        """The spans in the text. When the caller is cancelled, the process is ended.

        Raises:
            DetectorFailed: the detector raised, or its process died.
        """
        given_up = threading.Event()
        asked = asyncio.ensure_future(asyncio.to_thread(self._ask, text, given_up))
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            asked.add_done_callback(_forget)
            given_up.set()
            if self._asking is given_up and self._process is not None:
                self._process.kill()
            raise

    def _ask(self, text: str, given_up: threading.Event) -> Sequence[Span]:
        with self._lock:
            if given_up.is_set():
                return ()
            self._asking = given_up
            process = self._running()
            try:
                if given_up.is_set():
                    process.kill()
                assert process.stdin is not None
                assert process.stdout is not None
                _write(process.stdin, text.encode("utf-8", "surrogatepass"))
                reply = msgspec.msgpack.decode(_read(process.stdout), type=_Reply)
            except (OSError, EOFError, ValueError) as error:
                self._process = None
                if self._ender is not None:
                    self._ender()
                raise DetectorFailed("ProcessEnded") from error
            finally:
                self._asking = None
        if reply.error:
            raise DetectorFailed(reply.error)
        return reply.spans

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None or self._process.poll() is not None:
            if self._ender is not None:
                self._ender()
            command = [sys.executable, "-m", "headrace.screening.worker", self.name]
            self._process = subprocess.Popen(  # noqa: S603  an installed detector's own name
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
            self._ender = weakref.finalize(self, _end, self._process)
        return self._process


def _forget(asked: "asyncio.Future[Sequence[Span]]") -> None:
    """Nobody waits for it any more."""
    if not asked.cancelled():
        asked.exception()


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with suppress(OSError):  # what was still to be written has nowhere to go
                pipe.close()


def serve(detector: Detector, source: IO[bytes], sink: IO[bytes]) -> None:
    """Answer texts with spans until the other side closes."""
    while True:
        try:
            text = _read(source).decode("utf-8", "surrogatepass")
        except EOFError:
            return
        try:
            reply = _Reply(list(detector.detect(text)))
        except Exception as error:  # noqa: BLE001  told to the policy, whose mode decides
            reply = _Reply([], type(error).__name__)
        _write(sink, msgspec.msgpack.encode(reply))


def _write(sink: IO[bytes], data: bytes) -> None:
    sink.write(len(data).to_bytes(_HEAD, "big") + data)
    sink.flush()


def _read(source: IO[bytes]) -> bytes:
    size = int.from_bytes(_exactly(source, _HEAD), "big")
    return _exactly(source, size)


def _exactly(source: IO[bytes], size: int) -> bytes:
    data = source.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _main(name: str) -> None:
    from headrace.screening.registry import costly_detectors

    detector, _ = costly_detectors()[name]
    assert isinstance(detector, Detector)
    # What a detector prints must not be taken for an answer.
    sink, sys.stdout = sys.stdout.buffer, sys.stderr
    serve(detector, sys.stdin.buffer, sink)


if __name__ == "__main__":
    _main(sys.argv[1])
