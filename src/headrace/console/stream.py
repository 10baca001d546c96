"""A turn as server-sent events: what the chat page reads while an answer is written.

Events, in order: `start` (ids, and the steps to come), `step` (a finished one), `delta` and
`reasoning` (text), then `done` or `error` (an `Ending`). Parts of the page come as
HTML, so that words and layout have one home: the templates.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Protocol

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from headrace.console.ending import Ending
from headrace.errors import HeadraceError
from headrace.pipeline.turn import Turn
from headrace.telemetry.trace import Span
from headrace.types import Deltas

__all__ = ["Answerer", "TurnStream", "Words"]

_QUIET_S = 15.0
"""After so long without an event a comment is sent, so that proxies keep the connection."""

_log = logging.getLogger(__name__)
_encode = msgspec.json.Encoder().encode


class Answerer(Protocol):
    """What answers a turn; `Pipeline` does."""

    def answer(self, turn: Turn) -> Deltas: ...


class Words(Protocol):
    """Renders the parts of the page that a stream brings."""

    def steps(self) -> str:
        """All steps of the pipeline, not yet run."""
        ...

    def step(self, span: Span) -> str: ...

    async def done(self, turn: Turn) -> Ending: ...

    async def failed(self, turn: Turn, error: HeadraceError) -> Ending: ...


class TurnStream(Response):
    """Answers a turn while the browser listens; when the browser goes, generation stops."""

    media_type = "text/event-stream"

    def __init__(self, answerer: Answerer, turn: Turn, words: Words) -> None:
        super().__init__(headers={"cache-control": "no-store", "x-accel-buffering": "no"})
        del self.headers["content-length"]
        self._answerer = answerer
        self._turn = turn
        self._words = words
        # Unbounded: an answer has at most as many pieces as the model's context has tokens.
        self._events: asyncio.Queue[bytes | None] = asyncio.Queue()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        answering = asyncio.create_task(self._answer())
        sending = asyncio.create_task(self._send(send))
        leaving = asyncio.create_task(_gone(receive))
        tasks = (answering, sending, leaving)
        try:
            await asyncio.wait((sending, leaving), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            # The answer must have ended, its slot freed and its trace kept, before this returns.
            outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        for outcome in outcomes:
            if isinstance(outcome, Exception):
                raise outcome

    async def _answer(self) -> None:
        turn = self._turn
        turn.observe = lambda span: self._put(
            "step", {"name": span.name, "html": self._words.step(span)}
        )
        steps = self._words.steps()
        self._put("start", {"trace": turn.id, "conversation": turn.conversation, "steps": steps})
        try:
            async with aclosing(self._answerer.answer(turn)) as deltas:
                async for delta in deltas:
                    if delta.reasoning:
                        self._put("reasoning", {"text": delta.reasoning})
                    # A refusal is shown in the answer's place.
                    if text := delta.text or delta.refusal:
                        self._put("delta", {"text": text})
            self._put("done", await self._words.done(turn))
        except HeadraceError as error:
            await self._fail(error)
        except Exception:  # noqa: BLE001  the reader gets an event, the log the traceback
            _log.exception("turn %s failed", turn.id)
            await self._fail(
                HeadraceError(
                    "something went wrong inside the service",
                    hint=f"its log says more; look for {turn.id}",
                )
            )
        finally:
            self._events.put_nowait(None)

    async def _fail(self, error: HeadraceError) -> None:
        self._put("error", await self._words.failed(self._turn, error))

    def _put(self, event: str, data: object) -> None:
        self._events.put_nowait(b"event: %s\ndata: %s\n\n" % (event.encode(), _encode(data)))

    async def _send(self, send: Send) -> None:
        async with aclosing(self._batches()) as batches:
            async for batch in batches:
                await send({"type": "http.response.body", "body": batch, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    async def _batches(self) -> AsyncGenerator[bytes, None]:
        """Everything that is ready at a time, as one piece."""
        while True:
            event: bytes | None = b":\n\n"
            with contextlib.suppress(TimeoutError):
                event = await asyncio.wait_for(self._events.get(), _QUIET_S)
            pieces: list[bytes] = []
            while event is not None:
                pieces.append(event)
                if self._events.empty():
                    break
                event = self._events.get_nowait()
            if pieces:
                yield b"".join(pieces)
            if event is None:
                return


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
