"""What is answered from the cache, what is not, and what it says of itself."""

import asyncio
from pathlib import Path

import pytest

from headrace.errors import ModelUnavailable
from headrace.models.cache.cache import CLEARED_FILE, AnswerCache
from headrace.models.cache.metrics import CacheCollector
from headrace.models.cache.settings import CacheSettings
from headrace.types import Delta, Deltas, FunctionCall, Message, Params, ToolCall, ToolCallDelta
from tests.models.cache.conftest import (
    BOB,
    USAGE,
    WORDS,
    Clock,
    Held,
    MakeCache,
    listen,
    question,
    speaks,
    until,
)
from tests.models.scripted import ScriptedBackend, fails, model_of, raising

DOCS = Path(__file__).parents[3] / "docs"


async def test_the_same_question_is_asked_once(make_cache: MakeCache, clock: Clock) -> None:
    backend = ScriptedBackend(speaks)
    model, cache = model_of(backend), make_cache()
    first = await listen(cache, question(model))
    clock.now += 61.5
    second = await listen(cache, question(model))
    assert (first.result, second.result) == ("miss", "hit")
    assert backend.calls == 1
    assert second.deltas == first.deltas
    assert [each.text for each in second.deltas if each.text] == list(WORDS)
    assert second.deltas[-1].usage == USAGE
    assert second.source.ask is None
    assert second.source.attributes == {
        "headrace.cache.result": "hit",
        "headrace.cache.age_s": 61.5,
    }
    assert second.source.entry is not None
    assert second.source.entry.provider == "scripted"


async def test_whoever_changes_a_piece_changes_it_for_nobody_else(make_cache: MakeCache) -> None:
    model, cache = model_of(ScriptedBackend(speaks)), make_cache()
    for _ in range(3):
        async with cache.open(question(model)) as source:
            async for delta in source.deltas:
                assert delta.text in (*WORDS, "")
                delta.text = "changed"
                if delta.usage is not None:
                    assert delta.usage == USAGE
                    delta.usage.prompt_tokens = 0


@pytest.mark.parametrize(
    ("params", "reason"),
    [
        (Params(), "temperature"),
        (Params(temperature=0.2), "temperature"),
        (Params(temperature=0, tools=[{"type": "function"}]), "tools"),
        (Params(temperature=0, n=2), "n"),
        (Params(temperature=0, logprobs=True), "logprobs"),
        (Params(temperature=0, extra={"web_search_options": {}}), "live"),
        (Params(temperature=0, extra={"functions": []}), "live"),
    ],
)
async def test_what_is_meant_to_vary_or_to_act_goes_past(
    make_cache: MakeCache, params: Params, reason: str
) -> None:
    backend = ScriptedBackend(speaks)
    model, cache = model_of(backend), make_cache()
    heard = [await listen(cache, question(model, params=params)) for _ in range(2)]
    assert [each.result for each in heard] == ["bypass", "bypass"]
    assert heard[0].source.attributes["headrace.cache.reason"] == reason
    assert backend.calls == 2
    assert cache.entries == 0


@pytest.mark.parametrize(
    "message",
    [
        Message(role="tool", content="4 °C", tool_call_id="1"),
        Message(role="assistant", tool_calls=[ToolCall("1", FunctionCall("weather", "{}"))]),
    ],
)
async def test_what_a_tool_said_goes_past(make_cache: MakeCache, message: Message) -> None:
    model, cache = model_of(ScriptedBackend(speaks)), make_cache()
    assert (await listen(cache, question(model, before=[message]))).result == "bypass"


@pytest.mark.parametrize(
    ("params", "most"),
    [
        (Params(temperature=0.0), 0.0),
        (Params(temperature=1.3, seed=7), 0.0),
        (Params(temperature=0.7), 0.7),
        (Params(), 2.0),
    ],
)
async def test_what_repeats_itself_is_kept(
    make_cache: MakeCache, params: Params, most: float
) -> None:
    model, cache = model_of(ScriptedBackend(speaks)), make_cache(max_temperature=most)
    await listen(cache, question(model, params=params))
    assert (await listen(cache, question(model, params=params))).result == "hit"


async def test_the_client_may_refuse_a_kept_answer(make_cache: MakeCache, clock: Clock) -> None:
    backend = ScriptedBackend(speaks)
    model, cache = model_of(backend), make_cache()

    async def result(control: str) -> str:
        return (await listen(cache, question(model, control=control))).result

    assert await result("no-store") == "bypass"
    assert cache.entries == 0
    assert await result("no-cache") == "miss"
    assert await result("") == "hit"
    clock.now += 10
    assert await result("max-age=10") == "hit"
    clock.now += 1
    assert await result("private, MAX-AGE=10") == "miss"
    assert await result("max-age=10") == "hit"
    assert await result("max-age=soon, only-if-cached") == "hit"
    assert backend.calls == 3


@pytest.mark.parametrize(
    "deltas",
    [
        [Delta(text="No."), Delta(finish_reason="content_filter")],
        [Delta(tool_calls=[ToolCallDelta(0, "1")]), Delta(finish_reason="tool_calls")],
        [Delta(text="It breaks")],
        [Delta(finish_reason="stop")],
        [Delta(text="a", finish_reason="stop"), Delta(index=1, text="b")],
    ],
    ids=["filtered", "tools", "cut", "empty", "half"],
)
async def test_an_answer_that_is_not_whole_is_not_kept(
    make_cache: MakeCache, deltas: list[Delta]
) -> None:
    async def says() -> Deltas:
        for delta in deltas:
            yield delta

    model, cache = model_of(ScriptedBackend(says)), make_cache()
    assert [each.text for each in (await listen(cache, question(model))).deltas] == [
        each.text for each in deltas
    ]
    assert (await listen(cache, question(model))).result == "miss"


async def test_an_answer_cut_at_its_limit_is_kept_for_that_limit(make_cache: MakeCache) -> None:
    async def says() -> Deltas:
        yield Delta(text="It goes on and", finish_reason="length")

    model, cache = model_of(ScriptedBackend(says)), make_cache()
    short, longer = (Params(temperature=0.0, max_tokens=n) for n in (4, 8))
    await listen(cache, question(model, params=short))
    assert (await listen(cache, question(model, params=short))).result == "hit"
    assert (await listen(cache, question(model, params=longer))).result == "miss"


async def test_a_failure_is_not_kept(make_cache: MakeCache) -> None:
    refuses = raising(ModelUnavailable("broke off"), Delta(text="The "))
    model, cache = model_of(ScriptedBackend(refuses, speaks)), make_cache()
    with pytest.raises(ModelUnavailable):
        await listen(cache, question(model))
    assert (await listen(cache, question(model))).text == "".join(WORDS)


async def test_what_a_fall_back_said_is_not_kept(make_cache: MakeCache) -> None:
    from headrace.models.model import Route

    first, second = ScriptedBackend(fails), ScriptedBackend(speaks)
    route, cache = Route("r", [model_of(first, name="a"), model_of(second, name="b")]), make_cache()
    heard = await listen(cache, question(route))
    assert heard.text == "".join(WORDS)
    assert heard.source.ask is not None
    assert heard.source.ask.model.name == "b"
    assert cache.entries == 0


async def test_an_answer_is_kept_for_its_time_and_no_longer(
    make_cache: MakeCache, clock: Clock
) -> None:
    model, cache = model_of(ScriptedBackend(speaks)), make_cache(ttl_s=60)
    await listen(cache, question(model))
    clock.now += 59
    assert (await listen(cache, question(model))).result == "hit"
    clock.now += 2
    assert (await listen(cache, question(model))).result == "miss"


async def test_a_long_answer_passes_and_is_not_kept(make_cache: MakeCache) -> None:
    async def says() -> Deltas:
        for _ in range(300):
            yield Delta(text="x" * 4096)
        yield Delta(finish_reason="stop")

    model, cache = model_of(ScriptedBackend(says)), make_cache(max_entry_kb=64)
    assert len((await listen(cache, question(model))).text) == 300 * 4096
    assert cache.entries == 0


async def test_other_settings_hold_at_once(make_cache: MakeCache) -> None:
    model, cache = model_of(ScriptedBackend(speaks)), make_cache()
    await listen(cache, question(model))
    cache.change(CacheSettings(enabled=False))
    assert cache.entries == 0
    heard = await listen(cache, question(model))
    assert heard.result == "miss"
    assert heard.source.attributes == {}
    assert cache.entries == 0
    cache.change(CacheSettings(enabled=False, coalesce=False))
    assert (await listen(cache, question(model))).source.attributes == {}


async def test_an_answer_may_be_taken_back(make_cache: MakeCache) -> None:
    model, cache = model_of(ScriptedBackend(speaks)), make_cache()
    key = (await listen(cache, question(model))).source.key
    assert key is not None
    cache.discard(key)
    assert (await listen(cache, question(model))).result == "miss"


async def test_what_was_asked_before_clearing_is_not_kept_after_it(make_cache: MakeCache) -> None:
    held = Held()
    model, cache = model_of(ScriptedBackend(held, speaks)), make_cache()
    asking = asyncio.create_task(listen(cache, question(model)))
    await until(lambda: held.begun)
    cache.clear()
    held.let()
    assert (await asking).text == "".join(WORDS)
    assert cache.entries == 0


async def test_a_cache_notices_that_it_was_cleared_from_outside(tmp_path: Path) -> None:
    model, cache = model_of(ScriptedBackend(speaks)), AnswerCache(CacheSettings(), home=tmp_path)
    await cache.start()
    await listen(cache, question(model))
    assert cache.entries == 1
    (tmp_path / CLEARED_FILE).touch()
    while cache.entries:
        await asyncio.sleep(0.02)
    await cache.close()


async def test_prometheus_gets_every_figure_and_the_guide_names_it(make_cache: MakeCache) -> None:
    model, cache = model_of(ScriptedBackend(speaks)), make_cache()
    for _ in range(2):
        await listen(cache, question(model))
    await listen(cache, question(model, principal=BOB, params=Params()))
    families = {family.name: family for family in CacheCollector(cache).collect()}
    counts = {
        each.labels["result"]: each.value for each in families["headrace_cache_requests"].samples
    }
    assert counts == {"hit": 1, "semantic": 0, "miss": 1, "coalesced": 0, "bypass": 1}
    assert families["headrace_cache_entries"].samples[0].value == 1
    assert families["headrace_cache_bytes"].samples[0].value == cache.size_bytes > 0
    guide = (DOCS / "cache.md").read_text("utf-8")
    for name, family in families.items():
        shown = f"{name}_total" if family.type == "counter" else name
        assert f"`{shown}`" in guide, f"docs/cache.md does not name {shown}"
    for name in ("headrace_cache_redis_up", "headrace_cache_redis_failures_total"):
        assert f"`{name}`" in guide
