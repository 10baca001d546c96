"""This process as the partner: the whole platform, without a port.

The event loop runs in a thread of its own, so that the writer and the model's supervisor go on
working while this thread waits for somebody to type.
"""

import asyncio
import os
import queue
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import Future
from contextlib import aclosing, contextmanager
from typing import Self

from headrace.access.keys import ADMIN_KEY_FILE
from headrace.access.principal import Principal
from headrace.cli.chat.partner import Question, Reply
from headrace.cli.place import Place
from headrace.cli.progress import FetchProgress
from headrace.errors import Unauthenticated
from headrace.pipeline.service import Platform
from headrace.pipeline.turn import Turn
from headrace.server.boot import open_platform
from headrace.types import Message, Params

__all__ = ["LocalPartner"]


class LocalPartner:
    """Answers through the pipeline of this folder's service."""

    def __init__(
        self, loop: asyncio.AbstractEventLoop, platform: Platform, principal: Principal
    ) -> None:
        self._loop = loop
        self._platform = platform
        self._principal = principal
        self.url: str | None = None

    @classmethod
    @contextmanager
    def open(cls, place: Place, key: str | None) -> Iterator[Self]:
        """The folder's service, its model loaded.

        Args:
            key: whose turns these are; None: the home's admin key.

        Raises:
            Unauthenticated: the key is not one of this service.
            HeadraceError: the service cannot be loaded.
        """
        with _loop_in_thread() as loop, _platform(loop, place) as platform:
            yield cls(loop, platform, _principal(platform, key))

    def answer(self, question: Question, reply: Reply) -> Generator[str, None, None]:
        """See `Partner`."""
        pieces: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        turn = self._turn(question)
        reply.trace_id = turn.id
        reply.release = self._platform.service.release
        asking = self._answer(turn, reply, pieces)
        answering = asyncio.run_coroutine_threadsafe(asking, self._loop)
        answering.add_done_callback(lambda _: pieces.put(None))
        try:
            while (piece := pieces.get()) is not None:
                yield piece
        finally:
            answering.cancel()
        answering.result()

    async def _answer(
        self, turn: Turn, reply: Reply, pieces: "queue.SimpleQueue[str | None]"
    ) -> None:
        async with aclosing(self._platform.service.pipeline.answer(turn)) as deltas:
            async for delta in deltas:
                reply.finish_reason = delta.finish_reason or reply.finish_reason
                reply.usage = delta.usage or reply.usage
                if delta.text:
                    reply.text.append(delta.text)
                    pieces.put(delta.text)
        reply.model = turn.trace.model
        await self._platform.flush()

    def _turn(self, question: Question) -> Turn:
        return Turn(
            principal=self._principal,
            messages=[Message(role="user", content=question.text)],
            params=Params(max_tokens=question.max_tokens),
            model=question.model,
            template=question.template,
            conversation=question.conversation,
            stream=True,
        )


def _principal(platform: Platform, key: str | None) -> Principal:
    if key is not None:
        principal = platform.keys.authenticate(key)
        if principal is None:
            raise Unauthenticated(
                "the API key is not valid (any more)",
                hint="`headrace keys list` shows this service's keys",
            )
        return principal
    try:
        secret = (platform.home / ADMIN_KEY_FILE).read_text("utf-8").strip()
    except OSError:
        secret = ""
    # Whoever may read the home may act as its admin, even when the file was put away, or no
    # service has been started yet that would have made a key.
    return platform.keys.authenticate(secret) or next(
        (
            Principal(key.id, key.name, key.role, key.team)
            for key in platform.keys.list()
            if key.role == "admin" and key.revoked_at is None
        ),
        Principal("local", "local", "admin"),
    )


@contextmanager
def _loop_in_thread() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="headrace")
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@contextmanager
def _platform(loop: asyncio.AbstractEventLoop, place: Place) -> Iterator[Platform]:
    """The open platform; Ctrl-C while it loads, or fetches weights, gives up."""
    with FetchProgress() as progress:
        held = _Held(place, progress)
        asyncio.run_coroutine_threadsafe(held.hold(), loop)
        try:
            platform = held.ready.result()
            progress.close()
            yield platform
        finally:
            held.stop(loop)


class _Stopped(Exception):
    """Ends the thread that fetches."""


class _Held:
    """A platform that is open for as long as one task runs."""

    def __init__(self, place: Place, progress: FetchProgress) -> None:
        self._place = place
        self._progress = progress
        self._stopping = threading.Event()
        self._ended = threading.Event()
        self._task: asyncio.Task[object] | None = None
        self.ready: Future[Platform] = Future()

    async def hold(self) -> None:
        """Open the platform, and close it when the task is cancelled."""
        self._task = asyncio.current_task()
        try:
            if self._stopping.is_set():
                raise asyncio.CancelledError  # noqa: TRY301  # `ready` learns of it below
            async with open_platform(
                self._place.root, os.environ, progress=self._report
            ) as platform:
                self.ready.set_result(platform)
                await asyncio.Event().wait()
        except BaseException as error:
            if not self.ready.done():
                self.ready.set_exception(error)
            raise
        finally:
            self._ended.set()

    def stop(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close the platform, wherever it is, and wait until it is closed."""
        self._stopping.set()

        def cancel() -> None:
            if self._task is not None:
                self._task.cancel()

        loop.call_soon_threadsafe(cancel)
        self._ended.wait()

    def _report(self, what: str, done: int, total: int | None) -> None:
        # Called from the thread that fetches, which nothing else could stop.
        if self._stopping.is_set():
            raise _Stopped
        self._progress.report(what, done, total)
