"""The limiter that shares its counters with other gateways.

Calls that come while a batch is under way wait for the next one, so however many come, there is
one round trip at a time; what calls have used and which have ended travels with it. While Redis
is away, calls are counted here against this gateway's part of each limit (`on_error: allow`), and
Redis learns of them when it is back; or they are refused (`deny`).

Each call that Redis lets in is also counted here, so that a gateway which has to go on alone
knows what it has let in within the last minute.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec

from headrace.access.limits.admission import FREE, Admission
from headrace.access.limits.calendar import Calendar
from headrace.access.limits.config import Limits, RedisConfig
from headrace.access.limits.errors import LimitsUnavailable
from headrace.access.limits.header import Headers, headers_of
from headrace.access.limits.ledger import Ledger
from headrace.access.limits.limiter import Rejections
from headrace.access.limits.plan import Entry, Plan, Seen
from headrace.access.limits.refusal import Refusal
from headrace.access.limits.shared.backlog import NOW, Backlog
from headrace.access.limits.shared.call import Call, places_of, refusal_of, request_of
from headrace.access.limits.shared.link import Away, Link
from headrace.access.limits.shared.wire import Answer, Batch, Reply
from headrace.access.limits.window import SLOTS
from headrace.access.principal import Principal
from headrace.ids import new_id

__all__ = ["SharedLimiter"]

BEAT_S = 10.0
"""Between two signs of life. Places of a gateway that died are free after three of them."""
BATCH_CALLS = 256
"""Calls in one batch: some milliseconds of Redis' time."""
RETRY_S = 0.5
"""How often a Redis that is away is asked."""
FLUSH_S = 0.05
"""How long a report waits for company, when no call takes it along sooner."""
CLOSE_S = 2.0
"""How long `close` tries to tell Redis the last of what was used."""

_log = logging.getLogger(__name__)


class SharedLimiter:
    """See the module. `start` it on the event loop that calls it, and `close` it there."""

    def __init__(
        self,
        limits: Limits,
        config: RedisConfig,
        *,
        clock: Callable[[], float] = time.time,
        redis_clock: bool = True,
    ) -> None:
        """
        Args:
            clock: what time it is here: for days, months, and while Redis is away.
            redis_clock: whether minutes are counted by Redis' clock, which all gateways share.

        Raises:
            ConfigError: the address is not that of a Redis.
        """
        self.ledger = Ledger(limits.rules, Calendar(limits.zone))
        self.rejections: Rejections = Counter()
        self.is_away = False
        self.failures = 0
        """How often Redis went away."""
        self._config = config
        self._clock = clock
        self._redis_clock = redis_clock
        self._link = Link(config)
        self._backlog = Backlog()
        self._gateway = new_id()
        self._gateways = 1
        self._calls = 0
        self._number = 0
        self._waiting: list[Call] = []
        self._asked: list[Call] = []
        self._unanswered: tuple[Batch, list[Call]] | None = None
        self._beat_at = 0.0
        self._wake = asyncio.Event()
        self._is_flushing = False
        self._is_closing = False
        self._task: asyncio.Task[None] | None = None

    @property
    def shares(self) -> bool:
        return True

    @property
    def scopes(self) -> int:
        return len(self.ledger)

    async def start(self) -> None:
        """Begin to talk to Redis. It need not be there yet."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Tell Redis the last of what was used, for at most 2 s."""
        self._is_closing = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait([self._task], timeout=CLOSE_S)
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._link.close()

    async def admit(
        self,
        principal: Principal,
        model: str,
        estimated_tokens: int,
        now: float,
        *,
        estimated_cost_usd: float = 0.0,
    ) -> Admission:
        """See `Limiter`."""
        if not self.ledger.rules:
            return FREE
        plan = self.ledger.plan(principal, model, now)
        if not plan.counters:
            return FREE
        tokens = max(1, estimated_tokens)
        outcome: Entry | Refusal | None = None
        if not self.is_away:
            outcome = await self._ask(plan, tokens, estimated_cost_usd, now)
        if outcome is None:
            # Another plan than above: its limits are this gateway's part.
            plan = self.ledger.plan(principal, model, now)
            outcome = self._decide_alone(plan, tokens, estimated_cost_usd, now)
        if isinstance(outcome, Refusal):
            self.rejections[outcome.dimension, outcome.rule.label] += 1
            raise outcome.error()
        return Admission(outcome, self)

    def headers(self, principal: Principal, model: str) -> Headers:
        """See `Limiter`."""
        plan = self.ledger.known_plan(principal, model)
        return [] if plan is None else headers_of(plan, self.ledger.slot)

    def change(self, limits: Limits) -> None:
        """See `Limiter`. Another Redis needs another start."""
        self.ledger.change(limits.rules, Calendar(limits.zone))

    def tidy(self, now: float) -> None:
        """See `Limiter`."""
        self.ledger.tidy(now)

    def settle(self, entry: Entry, tokens: int, usd: float) -> None:
        """See `Settler`."""
        if self.ledger.settle(entry, tokens, usd, self._clock()) is None:
            return
        more = tokens - entry.tokens
        self._backlog.tokens(entry.plan, NOW if more > 0 else entry.shared_slot, more)
        self._backlog.money(entry, usd - entry.usd)
        if entry.plan.seen is not None:
            seen = entry.plan.seen
            seen.tokens = [max(0, total + more) for total in seen.tokens]
        self._flush_soon()

    def leave(self, entry: Entry) -> None:
        """See `Settler`."""
        if entry.is_active:
            self.ledger.leave(entry)
            self._backlog.leave((entry.lease, places_of(entry.plan)))
            self._flush_soon()

    async def _ask(self, plan: Plan, tokens: int, usd: float, now: float) -> Entry | Refusal | None:
        day = self.ledger.day(now)
        call = Call(plan, tokens, usd, now, day=day, lease=self._new_lease())
        self._waiting.append(call)
        self._wake.set()
        try:
            return await call.answered
        except asyncio.CancelledError:
            # The answer may have come in the same moment; then nobody else gives it back.
            if call.answered.done() and not call.answered.cancelled():
                self._give_back(call.answered.result())
            raise

    def _decide_alone(self, plan: Plan, tokens: int, usd: float, now: float) -> Entry | Refusal:
        if self._config.on_error == "deny":
            raise LimitsUnavailable(
                "the shared limits cannot be reached, so no call is let in",
                hint="try again shortly; `limits.redis.on_error: allow` goes on without them",
            )
        plan.seen = None
        outcome = self.ledger.admit(plan, tokens, usd, now)
        if isinstance(outcome, Entry):
            outcome.lease = self._new_lease()
            self._backlog.charge(outcome, +1, outcome.slot)
            self._backlog.hold((outcome.lease, places_of(plan)))
        return outcome

    async def _run(self) -> None:
        """Send what there is, one batch at a time, until closed."""
        try:
            while not self._is_closing or self._waiting or self._backlog:
                if not self._waiting and self._unanswered is None:
                    await self._rest()
                if await self._exchange():
                    continue
                if self._is_closing:
                    return
                await asyncio.sleep(RETRY_S)
        finally:
            # Nobody asks Redis any more, so nobody may wait for it.
            self.is_away = True
            for call in (*self._asked, *self._waiting):
                call.tell(None)

    async def _exchange(self) -> bool:
        """Send a batch and take its answer; False when there was none."""
        again = self._unanswered is not None
        batch, self._asked = self._next_batch()
        try:
            reply = await self._link.run(batch)
        except Away as error:
            self._lost(batch, self._asked, error, again=again)
            return False
        self._unanswered = None
        self._gateways = reply.gateways or self._gateways
        self._arrived(self._asked, reply, again=again)
        return True

    async def _rest(self) -> None:
        """Until something is to be sent, or the next sign of life is due."""
        wait_s = self._beat_at - asyncio.get_running_loop().time()
        if wait_s > 0:
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._wake.wait()

    def _next_batch(self) -> tuple[Batch, list[Call]]:
        # Whoever has woken this task is served by this batch.
        self._wake.clear()
        if self._unanswered is not None:
            return self._unanswered
        windows, spends, left = self._backlog.take()
        held: Sequence[tuple[str, str]] = ()
        loop_time = asyncio.get_running_loop().time()
        beats = loop_time >= self._beat_at
        if beats:
            self._beat_at = loop_time + BEAT_S
            held = self._backlog.held()
        calls, self._waiting = self._waiting[:BATCH_CALLS], self._waiting[BATCH_CALLS:]
        self._number += 1
        batch = Batch(
            now=0.0 if self._redis_clock else self._clock(),
            gateway=self._gateway,
            number=self._number,
            beats=beats,
            beat_s=BEAT_S,
            windows=windows,
            spends=spends,
            held=held,
            left=left,
            calls=[request_of(call) for call in calls],
        )
        return batch, calls

    def _lost(self, batch: Batch, calls: list[Call], error: Away, *, again: bool) -> None:
        """No answer: whoever waits is decided here, and the batch is sent again without calls."""
        if not again:
            for call in calls:
                call.tell(None)
            # Asked again, it either has happened, and is answered in full, or only reports.
            self._unanswered = (msgspec.structs.replace(batch, calls=()), calls)
        if not self.is_away:
            self.is_away = True
            self.failures += 1
            alone = self._config.on_error == "allow"
            _log.error(
                "the Redis of limits.redis does not answer (%s): %s",
                error,
                f"counting here, 1/{self._gateways} of each limit" if alone else "refusing calls",
            )
            self.ledger.divide(self._gateways)
        for call in self._waiting:
            call.tell(None)
        self._waiting.clear()
        self._backlog.forget_slots_before(self.ledger.slot - SLOTS)

    def _arrived(self, calls: list[Call], reply: Reply, *, again: bool) -> None:
        if self.is_away:
            self.is_away = False
            # Redis may have lost the leases, or let them run out.
            self._beat_at = 0.0
            self.ledger.divide(1)
            _log.info("the Redis of limits.redis answers again; counting there")
        for call, answer in zip(calls, reply.answers, strict=False):
            if not again:
                self._deliver(call, answer)
            elif not answer.refused:
                # Decided here meanwhile, so what was counted there must not count.
                entry = Entry(call.plan, answer.slot, call.day, call.tokens, call.usd)
                self._backlog.charge(entry, -1, answer.slot)
                self._backlog.leave((call.lease, places_of(call.plan)))

    def _deliver(self, call: Call, answer: Answer) -> None:
        if answer.refused:
            call.tell(refusal_of(call, answer))
            return
        entry = self.ledger.enter(call.plan, call.tokens, call.usd, call.now)
        entry.shared_slot, entry.lease = answer.slot, call.lease
        call.plan.seen = Seen(entry.slot, answer.requests, answer.tokens)
        self._backlog.hold((call.lease, places_of(call.plan)))
        if not call.tell(entry):
            self._give_back(entry)

    def _give_back(self, outcome: Entry | Refusal | None) -> None:
        if isinstance(outcome, Entry):
            self.settle(outcome, 0, 0.0)
            self.leave(outcome)

    def _new_lease(self) -> str:
        self._calls += 1
        return f"{self._gateway}:{self._calls}"

    def _flush_soon(self) -> None:
        """Tell Redis within a moment, together with what else happens until then."""
        if not self._is_flushing:
            self._is_flushing = True
            asyncio.get_running_loop().call_later(FLUSH_S, self._flush)

    def _flush(self) -> None:
        self._is_flushing = False
        self._wake.set()
