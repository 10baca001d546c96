"""Calls that take their time: one timer looks after all of them, so that quick ones need none.

A call is noted in the journal once it has lasted for a moment, or before its first byte goes out: one
that the process did not survive is then found as `interrupted`. Only calls of which nobody has seen
anything, and which were younger than that, leave no trace of a crash.
"""

import asyncio
import time
from typing import Protocol

__all__ = ["TICK_S", "Watch", "Watched"]

TICK_S = 0.05
"""As long as a record waits for the database anyway. A call is noted after one or two of these."""
LOOK_TICKS = 5
"""How many of them pass between two looks at calls whose answer has not begun."""


class Watched(Protocol):
    """A call under way."""

    is_over: bool

    @property
    def may_go_elsewhere(self) -> bool:
        """Whether nothing was said yet, and others could answer."""
        ...

    @property
    def patience_until(self) -> float:
        """Until when its answer may begin, in monotonic seconds."""
        ...

    @property
    def is_hopeless(self) -> bool:
        """Whether the deployment seems to be frozen."""
        ...

    def note(self) -> None:
        """Write down that it has begun, if that was not done."""
        ...

    def timed_out(self) -> None:
        """Nothing has come for longer than another deployment would take."""
        ...


class Watch:
    """See the module."""

    def __init__(self) -> None:
        self._young: list[Watched] = []
        self._older: list[Watched] = []
        self._waiting: dict[Watched, float] = {}
        """Calls whose answer has not begun, and until when they may wait."""
        self._ticks = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, call: Watched) -> None:
        """A call begins."""
        self._young.append(call)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def forget(self, call: Watched) -> None:
        """Its answer has begun, or will not come."""
        if self._waiting:
            self._waiting.pop(call, None)

    def _tick(self) -> None:
        self._timer = None
        older, self._older, self._young = self._older, self._young, []
        for call in older:
            if not call.is_over:
                call.note()
                if call.may_go_elsewhere:
                    self._waiting[call] = call.patience_until
        self._ticks += 1
        if self._waiting and self._ticks % LOOK_TICKS == 0:
            now = time.monotonic()
            late = [c for c, until in self._waiting.items() if until <= now or c.is_hopeless]
            for call in late:
                call.timed_out()
        if self._waiting or self._older or self._young:
            self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)
