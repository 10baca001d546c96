"""How a question is answered: kept, shared, or asked.

Read `AnswerCache.open` first. One cache lives as long as the process; configurations come and go,
and the release in each key keeps their answers apart. A question that is answered from memory, or
joins a call that is under way, waits for nothing.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec

from headrace.errors import HeadraceError
from headrace.models.cache.control import Control, parse_control
from headrace.models.cache.entry import Entry, pack, unpack
from headrace.models.cache.flight import Flight
from headrace.models.cache.key import partition_of, question_key, scope_of
from headrace.models.cache.memory import MemoryStore
from headrace.models.cache.question import Question
from headrace.models.cache.rule import is_keepable, why_not
from headrace.models.cache.semantic import Meaning, SemanticIndex
from headrace.models.cache.settings import OFF, CacheSettings, SemanticSettings
from headrace.models.cache.source import Result, Source, replayed
from headrace.models.cache.store import SharedAnswers

__all__ = ["CLEARED_FILE", "AnswerCache"]

CLEARED_FILE = "cache.cleared"
"""In the service's home; `headrace cache clear` touches it."""
LOOK_EVERY_S = 1.0
EMBEDDING_PAUSE_S = 10.0
"""After an embedding that failed or took too long, questions are compared as they are."""
MIN_FLIGHT_BYTES = 256 * 1024
"""Of an answer that others may join, where less is kept."""

_log = logging.getLogger(__name__)


class AnswerCache:
    """See the module. Without `start` it works too, but for clearing and what is past its time."""

    def __init__(
        self,
        settings: CacheSettings = OFF,
        *,
        shared: SharedAnswers | None = None,
        home: Path | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """
        Args:
            shared: answers of other gateways.
            home: where a cleared cache is told of.
            clock: seconds since the epoch, the same for all gateways.
        """
        self.settings = settings
        self.shared = shared
        self.requests: Counter[Result] = Counter()
        self._clock = clock
        self._cleared = None if home is None else home / CLEARED_FILE
        self._cleared_at = self._look_cleared()
        self._index = SemanticIndex(settings.semantic.max_entries if settings.semantic else 1)
        self._memory = MemoryStore(settings.max_mb * 1024 * 1024, gone=self._index.remove)
        self._flights: dict[tuple[bytes, bool], Flight] = {}
        self._private: set[Flight] = set()
        """Calls that nobody may join."""
        self._epoch = 0
        """Counts clearings: an answer that was asked for before one is not kept after it."""
        self._embeds_from = 0.0
        """When a model that made no embeddings is asked again."""
        self._task: asyncio.Task[None] | None = None

    @property
    def entries(self) -> int:
        return len(self._memory)

    @property
    def size_bytes(self) -> int:
        return self._memory.size_bytes

    @property
    def evictions(self) -> int:
        return self._memory.evictions

    @property
    def flights(self) -> int:
        """Calls under way that others may join."""
        return len(self._flights)

    async def start(self) -> None:
        """Begin to look after itself."""
        if self.shared is not None:
            await self.shared.look()
        self._task = asyncio.create_task(self._look_after(), name="cache-upkeep")

    async def close(self) -> None:
        """End every call that is under way."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        for flight in [*self._flights.values(), *self._private]:
            await flight.cancel()
        if self.shared is not None:
            await self.shared.close()

    def change(self, settings: CacheSettings) -> None:
        """Go on with other settings. Another Redis needs another start."""
        self.settings = settings
        self._memory.resize(settings.max_mb * 1024 * 1024)
        if settings.semantic is not None:
            self._index.max_entries = settings.semantic.max_entries
        if not settings.enabled:
            self._memory.clear()

    def clear(self) -> None:
        """Forget every answer in memory."""
        self._epoch += 1
        self._memory.clear()

    def discard(self, key: bytes) -> None:
        """Forget one answer: what became of it behind the model says that it is not to be repeated."""
        self._memory.discard(key)
        if self.shared is not None:
            self.shared.discard(key)

    @asynccontextmanager
    async def open(self, question: Question) -> AsyncGenerator[Source, None]:
        """Where the answer comes from. Its deltas are closed at the end of the block.

        Raises:
            HeadraceError: from the deltas, as the models that are asked raise it.
        """
        source = await self._source(question)
        if source.is_shown or source.result == "coalesced":
            self.requests[source.result] += 1
        try:
            yield source
        finally:
            await source.close()

    async def _source(self, question: Question) -> Source:
        settings = self.settings
        reason = why_not(question, settings.max_temperature)
        if not (settings.enabled or settings.coalesce) or reason is not None:
            return self._direct(question, reason or "")
        control = parse_control(question.control)
        if not control.stores:
            return self._direct(question, "no-store")
        scope = scope_of(question, settings.share)
        key = question_key(question, scope)
        if not settings.enabled:
            return self._flown(question, key, None, joins=True)
        if not control.reads:
            return self._flown(question, key, None, joins=False)
        entry = self._kept(key, control)
        if entry is not None:
            return self._replay("hit", entry, key)
        if self._can_join(question, key):
            return self._flown(question, key, None, joins=True)
        return await self._looked_up(question, key, scope, control)

    async def _looked_up(
        self, question: Question, key: bytes, scope: tuple[str, ...], control: Control
    ) -> Source:
        """What is not in memory: from Redis, or by its meaning, else from the model."""
        if self.shared is not None and (payload := await self.shared.get(key)) is not None:
            entry = self._taken_over(key, payload, control)
            if entry is not None:
                return self._replay("hit", entry, key)
        semantic = self.settings.semantic
        if semantic is None or not _has_meaning(question) or self._clock() < self._embeds_from:
            return self._flown(question, key, None, joins=True)
        partition = partition_of(question, scope)
        meaning, usd = await self._meaning(question, semantic)
        source = None if meaning is None else self._near(partition, meaning, semantic, control)
        if source is None:
            place = None if meaning is None else (partition, meaning)
            source = self._flown(question, key, place, joins=True)
        source.embedding_usd = usd
        return source

    def _kept(self, key: bytes, control: Control) -> Entry | None:
        payload = self._memory.get(key, self._clock())
        return None if payload is None else self._fresh(payload, control)

    def _fresh(self, payload: bytes, control: Control) -> Entry | None:
        entry = unpack(payload)
        most = control.max_age_s
        return None if most is not None and self._age_s(entry) > most else entry

    def _age_s(self, entry: Entry) -> float:
        return max(0.0, self._clock() - entry.made_at)

    def _taken_over(self, key: bytes, payload: bytes, control: Control) -> Entry | None:
        """An answer of another gateway, kept here too for the rest of its time."""
        try:
            entry = self._fresh(payload, control)
        except msgspec.MsgspecError:
            # Another version's form.
            return None
        if entry is not None:
            self._memory.put(key, payload, entry.made_at + self.settings.ttl_s)
        return entry

    def _near(
        self, partition: bytes, meaning: Meaning, semantic: SemanticSettings, control: Control
    ) -> Source | None:
        found = self._index.nearest(partition, meaning, semantic.threshold)
        if found is None:
            return None
        entry = self._kept(found.key, control)
        if entry is None:
            return None
        source = self._replay("semantic", entry, found.key)
        source.similarity = found.similarity
        return source

    async def _meaning(
        self, question: Question, semantic: SemanticSettings
    ) -> tuple[Meaning | None, float]:
        """The last message's meaning, and what it cost; None when it cannot be had in time."""
        assert question.embed is not None
        text = question.call.messages[-1].text()
        try:
            async with asyncio.timeout(semantic.timeout_s):
                made, deployment = await question.embed(semantic.model, text)
        except (HeadraceError, TimeoutError) as error:
            # Or every question would wait for it.
            self._embeds_from = self._clock() + EMBEDDING_PAUSE_S
            _log.error(
                "cache.semantic: no embedding by %s: %s", semantic.model, error or "too slow"
            )
            return None, 0.0
        return Meaning(text, made.vectors[0]), deployment.cost_usd(made.usage)

    def _replay(self, result: Result, entry: Entry, key: bytes) -> Source:
        source = Source(result, replayed(entry), entry=entry)
        source.key, source.age_s = key, self._age_s(entry)
        return source

    def _direct(self, question: Question, reason: str) -> Source:
        ask = question.ask()
        source = Source("bypass", ask.deltas(question.call_for), ask=ask)
        source.reason, source.is_shown = reason, self.settings.enabled
        return source

    def _can_join(self, question: Question, key: bytes) -> bool:
        return self.settings.coalesce and (key, question.call.stream) in self._flights

    def _flown(
        self, question: Question, key: bytes, place: "tuple[bytes, Meaning] | None", *, joins: bool
    ) -> Source:
        """The answer of a call upstream: one that is under way, or a new one."""
        # Not one for both: who streams would wait for the whole of an answer that does not.
        at = (key, question.call.stream)
        flight = self._flights.get(at) if joins and self.settings.coalesce else None
        result: Result = "miss" if flight is None else "coalesced"
        if flight is None:
            flight = self._take_off(question, key, place, joins=joins)
        listener = flight.join()
        source = Source(result, listener.deltas(), ask=flight.ask, pays=lambda: listener.pays)
        source.key, source.is_shown = key, self.settings.enabled
        source.leave = lambda: flight.leave(listener)
        return source

    def _take_off(
        self, question: Question, key: bytes, place: "tuple[bytes, Meaning] | None", *, joins: bool
    ) -> Flight:
        ask, epoch, at = question.ask(), self._epoch, (key, question.call.stream)
        first = ask.model

        def ended(flight: Flight) -> None:
            if self._flights.get(at) is flight:
                del self._flights[at]
            self._private.discard(flight)
            # What a fall-back said is not kept: it would go on after the first is back.
            if flight.is_whole and self._epoch == epoch and ask.model is first:
                self._keep(key, flight, place)

        most = max(self.settings.max_entry_kb * 1024, MIN_FLIGHT_BYTES)
        flight = Flight(ask, ask.deltas(question.call_for), max_bytes=most, ended=ended)
        if joins and self.settings.coalesce:
            self._flights[at] = flight
        else:
            self._private.add(flight)
        flight.take_off()
        return flight

    def _keep(self, key: bytes, flight: Flight, place: "tuple[bytes, Meaning] | None") -> None:
        settings, now = self.settings, self._clock()
        deployment = flight.ask.deployment
        if not settings.enabled or deployment is None or not is_keepable(flight.pieces):
            return
        backend = deployment.backend
        payload = pack(flight.pieces, provider=backend.provider, digest=backend.digest, made_at=now)
        if len(payload) > settings.max_entry_kb * 1024:
            return
        more = 0 if place is None else place[1].size_bytes
        if self._memory.put(key, payload, now + settings.ttl_s, more_bytes=more) and place:
            self._index.add(place[0], key, place[1])
        if self.shared is not None:
            self.shared.put(key, payload, settings.ttl_s)

    async def _look_after(self) -> None:
        """Drop what is past its time, and notice when all is to be forgotten; until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self._memory.expire(self._clock())
            cleared_at = await asyncio.to_thread(self._look_cleared)
            is_cleared = cleared_at != self._cleared_at
            self._cleared_at = cleared_at
            if self.shared is not None and await self.shared.look():
                is_cleared = True
            if is_cleared:
                self.clear()
                _log.info("the cache of answers was cleared")

    def _look_cleared(self) -> int:
        if self._cleared is None:
            return 0
        with suppress(OSError):
            return self._cleared.stat().st_mtime_ns
        return 0


def _has_meaning(question: Question) -> bool:
    """Whether a question like it may be answered alike: its own words are all there is to it."""
    last = question.call.messages[-1]
    return (
        question.embed is not None
        and not question.in_conversation
        and not question.is_masked
        and not question.is_grounded
        and not question.call.completion
        and last.role == "user"
        and isinstance(last.content, str)
        and bool(last.content.strip())
    )
