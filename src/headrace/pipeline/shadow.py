"""A release that answers in the shadow: copies of real turns, seen by nobody.

A copy begins when the turn that it is of has ended, gives way to everybody, counts against no limit,
and leaves nothing behind but its own trace: no memory, no kept answer, no call of a tool.
"""

import asyncio
import logging
from contextlib import aclosing

from headrace.errors import HeadraceError
from headrace.pipeline.pipeline import Pipeline
from headrace.pipeline.turn import Turn
from headrace.telemetry.tally import Counts
from headrace.telemetry.trace import Trace

__all__ = ["MOST", "OPERATION", "Shadow", "copy_of"]

OPERATION = "shadow"
"""`gen_ai.operation.name` of its traces: whoever looks for chats does not find them."""
MOST = 4
"""Copies under way at once; turns beyond that are not copied."""

_log = logging.getLogger(__name__)


class Shadow:
    """Follows turns with a release's pipeline. Of one event loop."""

    def __init__(self, pipeline: Pipeline, skipped: Counts) -> None:
        """
        Args:
            skipped: counts the turns that are not copied, by reason.
        """
        self._pipeline = pipeline
        self._skipped = skipped
        self._running: set[asyncio.Task[None]] = set()
        self._is_over = False

    def follow(self, turn: Turn) -> None:
        """Answer a copy of the turn once it has ended."""
        copy = copy_of(turn)
        turn.then = lambda: self._start(copy, turn.remembered_until)

    def _start(self, copy: Turn, remembered_until: str) -> None:
        if self._is_over:
            return
        copy.remembered_until = remembered_until
        if not self._pipeline.is_open_to(copy):
            # Somebody else's fine-tune answers in this release: no answer, and no error of its.
            self._skipped.add(("closed",))
            return
        if len(self._running) >= MOST:
            self._skipped.add(("busy",))
            return
        task = asyncio.get_running_loop().create_task(self._answer(copy))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _answer(self, copy: Turn) -> None:
        try:
            async with aclosing(self._pipeline.answer(copy)) as deltas:
                async for _ in deltas:
                    pass
        except HeadraceError:
            pass  # its trace says what happened, and is what is judged
        except Exception:  # noqa: BLE001  a copy must harm nobody
            _log.exception("the copy of a turn failed")

    def stop(self) -> None:
        """End what is under way, and begin nothing more: nobody waits for it."""
        self._is_over = True
        for task in self._running:
            task.cancel()


def copy_of(turn: Turn) -> Turn:
    """The turn as it came, to be answered by another release."""
    return Turn(
        principal=turn.principal,
        messages=list(turn.messages),
        params=turn.params,
        kind=turn.kind,
        model=turn.model,
        gives_way=True,
        conversation=turn.conversation,
        subject=turn.subject,
        template=turn.template,
        variables=dict(turn.variables),
        metadata=dict(turn.metadata),
        cache_control="no-store, no-cache",
        tools=(),
        is_shadow=True,
        trace=Trace(),
    )
