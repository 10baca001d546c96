"""Equal questions at one time are one call, whoever comes, goes, or is slow."""

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import InvalidRequest, ModelUnavailable
from headrace.models.cache.cache import AnswerCache
from headrace.models.cache.flight import AHEAD
from headrace.models.cache.settings import CacheSettings
from headrace.types import Delta, Deltas
from tests.models.cache.conftest import (
    BOB,
    WORDS,
    Heard,
    Held,
    MakeCache,
    listen,
    question,
    speaks,
    until,
)
from tests.models.scripted import ScriptedBackend, model_of, raising

WHOLE = "".join(WORDS)


@pytest.mark.parametrize("enabled", [True, False])
async def test_equal_questions_at_one_time_are_one_call(
    make_cache: MakeCache, enabled: bool
) -> None:
    held = Held()
    backend = ScriptedBackend(held)
    model, cache = model_of(backend), make_cache(enabled=enabled)
    asking = [asyncio.create_task(listen(cache, question(model))) for _ in range(20)]
    held.let()
    heard = await asyncio.gather(*asking)
    assert backend.calls == 1
    assert [each.text for each in heard] == [WHOLE] * 20
    assert [each.result for each in heard] == ["miss"] + ["coalesced"] * 19
    assert sum(each.source.pays() for each in heard) == 1
    assert heard[1].source.attributes["headrace.cache.coalesced"] is True


async def test_who_comes_late_hears_it_from_the_beginning(make_cache: MakeCache) -> None:
    held = Held()
    model, cache = model_of(ScriptedBackend(held)), make_cache()
    async with cache.open(question(model)) as source:
        held.let(2)
        assert (await anext(source.deltas)).text == WORDS[0]
        assert (await anext(source.deltas)).text == WORDS[1]
        late = asyncio.create_task(listen(cache, question(model)))
        held.let()
        assert (await late).text == WHOLE
        assert "".join([each.text async for each in source.deltas]) == "".join(WORDS[2:])


async def test_without_coalescing_each_asks(make_cache: MakeCache) -> None:
    held = Held()
    backend = ScriptedBackend(held)
    model, cache = model_of(backend), make_cache(coalesce=False)
    asking = [asyncio.create_task(listen(cache, question(model))) for _ in range(3)]
    held.let()
    await asyncio.gather(*asking)
    assert backend.calls == 3


async def test_others_and_other_ways_to_answer_are_not_joined(make_cache: MakeCache) -> None:
    held = Held()
    backend = ScriptedBackend(held)
    model, cache = model_of(backend), make_cache()
    asked = [
        question(model),
        question(model, principal=BOB),
        question(model, stream=False),
        question(model, control="no-cache"),
    ]
    asking = [asyncio.create_task(listen(cache, each)) for each in asked]
    held.let()
    await asyncio.gather(*asking)
    assert backend.calls == 4


async def test_the_first_to_ask_may_leave_and_the_next_pays(make_cache: MakeCache) -> None:
    held = Held()
    model, cache = model_of(ScriptedBackend(held)), make_cache()
    first = asyncio.create_task(listen(cache, question(model)))
    await until(lambda: held.begun)
    others = [asyncio.create_task(listen(cache, question(model))) for _ in range(2)]
    held.let(2)
    await asyncio.sleep(0)
    first.cancel()
    with suppress(asyncio.CancelledError):
        await first
    held.let()
    heard = await asyncio.gather(*others)
    assert [each.text for each in heard] == [WHOLE, WHOLE]
    assert [each.source.pays() for each in heard] == [True, False]
    assert cache.entries == 1


async def test_when_nobody_listens_the_call_ends_at_once(make_cache: MakeCache) -> None:
    held = Held()
    model, cache = model_of(ScriptedBackend(held)), make_cache()
    asking = [asyncio.create_task(listen(cache, question(model))) for _ in range(3)]
    await until(lambda: held.begun)
    for each in asking:
        each.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    assert held.ended == 1
    assert model.deployments[0].runner.leases.count == 0
    assert [each.outstanding for each in model.balancer.snapshot()] == [0]
    assert cache.entries == 0


@pytest.mark.parametrize("error", [ModelUnavailable("down"), InvalidRequest("no")])
async def test_a_call_that_fails_fails_for_all_and_is_made_no_more_often(
    make_cache: MakeCache, error: ModelUnavailable | InvalidRequest
) -> None:
    backend = ScriptedBackend(raising(error))
    model, cache = model_of(backend), make_cache()
    alone = await asyncio.gather(listen(cache, question(model)), return_exceptions=True)
    calls = backend.calls
    asking = [listen(cache, question(model)) for _ in range(10)]
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert {type(each) for each in [*alone, *found]} == {type(error)}
    assert backend.calls == 2 * calls


async def test_who_does_not_take_its_pieces_holds_back_nobody_else(make_cache: MakeCache) -> None:
    given = 0

    async def says() -> Deltas:
        nonlocal given
        for _ in range(1000):
            given += 1
            yield Delta(text="word ")
        yield Delta(finish_reason="stop")

    model, cache = model_of(ScriptedBackend(says)), make_cache()
    async with cache.open(question(model)) as slow:
        await anext(slow.deltas)
        for _ in range(50):
            await asyncio.sleep(0)
        assert given <= AHEAD + 1, "one client alone holds the model back"
        quick = await listen(cache, question(model))
        assert quick.text == "word " * 1000
        assert len([each async for each in slow.deltas]) == 1000


async def test_memory_is_bounded_and_who_is_too_far_behind_is_told(make_cache: MakeCache) -> None:
    async def says() -> Deltas:
        for _ in range(2000):
            yield Delta(text="x" * 1024)
        yield Delta(finish_reason="stop")

    model, cache = model_of(ScriptedBackend(says)), make_cache(max_entry_kb=16)
    async with cache.open(question(model)) as slow:
        await anext(slow.deltas)
        quick = await listen(cache, question(model))
        assert len(quick.text) == 2000 * 1024
        with pytest.raises(ModelUnavailable, match="too far behind"):
            await anext(slow.deltas)
    late = await listen(cache, question(model))
    assert late.result == "miss"


async def test_a_service_that_stops_tells_who_listens(make_cache: MakeCache) -> None:
    held = Held()
    model, cache = model_of(ScriptedBackend(held)), make_cache()
    asking = asyncio.create_task(listen(cache, question(model)))
    await until(lambda: held.begun)
    await cache.close()
    with pytest.raises(ModelUnavailable, match="stopping"):
        await asking


async def test_a_source_that_nobody_reads_lets_go_of_the_call(make_cache: MakeCache) -> None:
    held = Held()
    model, cache = model_of(ScriptedBackend(held)), make_cache()
    async with cache.open(question(model)):
        assert cache.flights == 1
    assert cache.flights == 0


class Crowd:
    """Some who ask one of two questions, and leave, in any order."""

    def __init__(self, breaks_at: int | None, *, enabled: bool) -> None:
        self.running = 0
        self.steps = asyncio.Semaphore(0)
        self.staying: dict[int, asyncio.Task[Heard]] = {}
        self.left: list[asyncio.Task[Heard]] = []
        self.model = model_of(ScriptedBackend(self.says))
        self.cache = AnswerCache(CacheSettings(enabled=enabled))
        self._breaks_at = breaks_at

    async def says(self) -> Deltas:
        self.running += 1
        try:
            position = 0
            async for delta in speaks():
                await self.steps.acquire()
                if position == self._breaks_at:
                    raise InvalidRequest("refused")
                position += 1
                yield delta
        finally:
            self.running -= 1

    async def move(self, who: int, what: str, count: int) -> None:
        if what == "ask" and who not in self.staying:
            asked = question(self.model, f"Question {who % 2}")
            self.staying[who] = asyncio.create_task(listen(self.cache, asked))
        elif what == "leave" and who in self.staying:
            leaver = self.staying.pop(who)
            leaver.cancel()
            self.left.append(leaver)
        elif what == "pieces come":
            for _ in range(count):
                self.steps.release()
        elif what == "time passes":
            for _ in range(count):
                await asyncio.sleep(0)

    async def end(self) -> list[Heard | BaseException]:
        """What those heard who stayed; nothing is left of any call."""
        for _ in range(1000):
            self.steps.release()
        found = await asyncio.gather(*self.staying.values(), return_exceptions=True)
        await asyncio.gather(*self.left, return_exceptions=True)
        assert self.running == 0
        assert self.cache.flights == 0
        assert self.model.deployments[0].runner.leases.count == 0
        assert len(asyncio.all_tasks()) == 1, "a task was left behind"
        return found


MOVES = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.sampled_from(["ask", "ask", "leave", "pieces come", "pieces come", "time passes"]),
        st.integers(1, 3),
    ),
    max_size=40,
)


@given(moves=MOVES, breaks_at=st.one_of(st.none(), st.integers(0, 5)), enabled=st.booleans())
def test_whoever_stays_hears_all_whatever_the_others_do(
    moves: list[tuple[int, str, int]], breaks_at: int | None, enabled: bool
) -> None:
    async def check() -> None:
        crowd = Crowd(breaks_at, enabled=enabled)
        for who, what, count in moves:
            await crowd.move(who, what, count)
        for heard in await crowd.end():
            if isinstance(heard, Heard):
                assert heard.text == WHOLE
            else:
                assert breaks_at is not None
                assert isinstance(heard, InvalidRequest)

    asyncio.run(check())
