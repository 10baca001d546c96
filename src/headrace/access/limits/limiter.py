"""The limiter: lets calls in or says why not. This one counts in its own memory.

`admit`, `settle`, `release` and `headers` take microseconds and wait for nothing. A call that was
let in is in the journal before its answer can come, so a `kill -9` loses none (`notes.py`).
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Protocol

from headrace.access.limits.admission import FREE, Admission
from headrace.access.limits.calendar import Calendar
from headrace.access.limits.config import Limits
from headrace.access.limits.header import Headers, headers_of, lines_of
from headrace.access.limits.ledger import Ledger, Stored
from headrace.access.limits.notes import LIMIT_USE, Notes
from headrace.access.limits.plan import Entry
from headrace.access.limits.refusal import Refusal
from headrace.access.principal import Principal
from headrace.storage.writer import RecordWriter

__all__ = ["LIMIT_USE", "Limiter", "MemoryLimiter", "Rejections"]

Rejections = Counter[tuple[str, str]]
"""Calls refused, by dimension and by the rule's label."""


class Limiter(Protocol):
    """What the gateway needs. A limiter that shares its counters must be waited for."""

    rejections: Rejections
    is_away: bool
    """Whether shared counters cannot be reached."""
    failures: int
    """How often they could not."""

    @property
    def shares(self) -> bool:
        """Whether its counters are shared with other gateways."""
        ...

    @property
    def scopes(self) -> int:
        """Keys, teams and models whose use is held in memory."""
        ...

    async def start(self) -> None:
        """Call it on the event loop, before anything else."""
        ...

    async def close(self) -> None:
        """Call it there at the end."""
        ...

    def admit(
        self,
        principal: Principal,
        model: str,
        estimated_tokens: int,
        now: float,
        *,
        estimated_cost_usd: float = 0.0,
    ) -> Admission | Awaitable[Admission]:
        """Let a call in, its tokens and cost reserved.

        Args:
            model: the name of a declared model or route, not just any that a client sent.
            estimated_tokens: see `estimate.reserved_tokens`.
            now: seconds since the epoch.

        Raises:
            LimitExceeded, QuotaExceeded: a limit has no room for it; nothing was counted.
            LimitsUnavailable: the shared counters are away.
        """
        ...

    def headers(self, principal: Principal, model: str) -> Headers:
        """The `x-ratelimit-*` headers after what has been counted so far."""
        ...

    def change(self, limits: Limits) -> None:
        """Take over edited rules and time zone; what has been counted stays."""
        ...

    def tidy(self, now: float) -> None:
        """Forget who has not called for a while. Call it every few minutes."""
        ...


class MemoryLimiter:
    """Counts for one process."""

    def __init__(
        self,
        limits: Limits,
        *,
        writer: RecordWriter | None = None,
        stored: Stored | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """
        Args:
            writer: keeps what is counted; None: it ends with the process.
            stored: what an earlier process had counted (`store.load_counters`).
            clock: what time it is when a call is settled.
        """
        self.ledger = Ledger(limits.rules, Calendar(limits.zone), stored)
        self.rejections: Rejections = Counter()
        self.is_away = False
        self.failures = 0
        self._notes = None if writer is None else Notes(writer)
        self._clock = clock

    @property
    def shares(self) -> bool:
        return False

    @property
    def scopes(self) -> int:
        return len(self.ledger)

    async def start(self) -> None:
        """See `Limiter`. From now on many calls make one record."""
        if self._notes is not None:
            self._notes.collect_on(asyncio.get_running_loop())

    async def close(self) -> None:
        """See `Limiter`. The last that was counted goes into the journal."""
        if self._notes is not None:
            self._notes.close()

    def admit(
        self,
        principal: Principal,
        model: str,
        estimated_tokens: int,
        now: float,
        *,
        estimated_cost_usd: float = 0.0,
    ) -> Admission:
        """See `Limiter`."""
        ledger = self.ledger
        if not ledger.rules:
            return FREE
        plan = ledger.plan(principal, model, now)
        if not plan.counters:
            return FREE
        entry = ledger.admit(plan, max(1, estimated_tokens), estimated_cost_usd, now)
        if isinstance(entry, Refusal):
            self.rejections[entry.dimension, entry.rule.label] += 1
            raise entry.error()
        if self._notes is not None:
            self._notes.entered(entry)
        return Admission(entry, self)

    def try_admit(
        self, principal: Principal, model: str, estimated_tokens: int, now: float, cost_usd: float
    ) -> Admission | None:
        """`admit` for who goes another way when there is no room: None, and no refusal counted."""
        ledger = self.ledger
        if not ledger.rules:
            return FREE
        plan = ledger.plan(principal, model, now)
        if not plan.counters:
            return FREE
        entry = ledger.admit(plan, max(1, estimated_tokens), cost_usd, now)
        if isinstance(entry, Refusal):
            return None
        if self._notes is not None:
            self._notes.entered(entry)
        return Admission(entry, self)

    def withdraw(self, admission: Admission) -> None:
        """Take back one of `try_admit`: the call goes another way, where it is let in anew."""
        entry = admission.entry
        if entry is None:
            return
        self.ledger.withdraw(entry, self._clock())
        if self._notes is not None:
            self._notes.entered(entry)

    def headers(self, principal: Principal, model: str) -> Headers:
        """See `Limiter`."""
        plan = self.ledger.known_plan(principal, model)
        return [] if plan is None else headers_of(plan, self.ledger.slot)

    def lines(self, admission: Admission) -> bytes:
        """The headers of the answer to a call that was let in, as they stand in its head."""
        entry = admission.entry
        return b"" if entry is None else lines_of(entry.plan, self.ledger.slot)

    def change(self, limits: Limits) -> None:
        """See `Limiter`."""
        self.ledger.change(limits.rules, Calendar(limits.zone))

    def tidy(self, now: float) -> None:
        """See `Limiter`."""
        self.ledger.tidy(now)

    def settle(self, entry: Entry, tokens: int, usd: float) -> None:
        """See `Settler`."""
        slot = self.ledger.settle(entry, tokens, usd, self._clock())
        if self._notes is not None and slot is not None:
            self._notes.settled(entry, slot)

    def leave(self, entry: Entry) -> None:
        """See `Settler`."""
        self.ledger.leave(entry)
