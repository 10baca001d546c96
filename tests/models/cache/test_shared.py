"""Answers that several gateways share, on a real Redis."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from headrace.errors import ConfigError
from headrace.models.cache.build import build_shared
from headrace.models.cache.cache import AnswerCache
from headrace.models.cache.settings import CacheRedisSettings, CacheSettings
from headrace.models.cache.shared import SharedStore
from tests.access.limits.shared.conftest import RedisServer
from tests.models.cache.conftest import BOB, WORDS, Clock, listen, question, speaks, until
from tests.models.scripted import ScriptedBackend, model_of

SECRET = bytes(range(32))
Gateway = Callable[..., AnswerCache]


@pytest.fixture
async def gateway(clock: Clock) -> AsyncIterator[Gateway]:
    """Caches of gateways that share a Redis."""
    made: list[AnswerCache] = []

    def make(server: RedisServer, *, secret: bytes = SECRET, **settings: float) -> AnswerCache:
        redis = CacheRedisSettings(url=server.url, timeout_s=settings.pop("timeout_s", 5.0))
        cache = AnswerCache(
            CacheSettings(redis=redis, **settings),  # type: ignore[arg-type]  # as the test says
            shared=SharedStore(redis, secret),
            clock=clock,
        )
        made.append(cache)
        return cache

    yield make
    for cache in made:
        await cache.close()


async def settled(cache: AnswerCache) -> None:
    """What was put has arrived."""
    assert isinstance(cache.shared, SharedStore)
    await cache.shared.flush()


async def test_an_answer_of_one_gateway_serves_the_others(
    gateway: Gateway, redis_server: RedisServer, clock: Clock
) -> None:
    backend = ScriptedBackend(speaks)
    model = model_of(backend)
    here, there = gateway(redis_server), gateway(redis_server)
    await listen(here, question(model))
    await settled(here)
    clock.now += 30
    heard = await listen(there, question(model))
    assert (heard.result, heard.text) == ("hit", "".join(WORDS))
    assert heard.source.age_s == 30
    assert (await listen(there, question(model, principal=BOB))).result == "miss"
    redis_server.client.flushall()
    assert (await listen(there, question(model))).result == "hit", "it is in memory there now"
    assert backend.calls == 2
    clock.now += 3570
    assert (await listen(there, question(model))).result == "miss", "its time counts from the first"


async def test_redis_sees_neither_questions_nor_answers(
    gateway: Gateway, redis_server: RedisServer
) -> None:
    here = gateway(redis_server)
    source = (await listen(here, question(model_of(ScriptedBackend(speaks))))).source
    await settled(here)
    names = redis_server.client.keys("*")
    assert isinstance(names, list)
    stored = b"".join(redis_server.client.dump(name) or b"" for name in names)
    assert names
    assert source.key is not None
    for secret in (b"answer", b"42.", b"key-ada", source.key.hex().encode(), source.key):
        assert secret not in stored
        assert all(secret not in name for name in names)
    (name,) = names
    ttl = redis_server.client.pttl(name)
    assert isinstance(ttl, int)
    assert 0 < ttl <= 3_600_000


async def test_what_was_changed_or_is_of_another_master_key_is_a_miss(
    gateway: Gateway, redis_server: RedisServer
) -> None:
    model, client = model_of(ScriptedBackend(speaks)), redis_server.client

    async def result(text: str, secret: bytes = SECRET) -> str:
        """What another gateway finds there."""
        other = gateway(redis_server, secret=secret)
        heard = await listen(other, question(model, text))
        await settled(other)
        return heard.result

    for text in ("one", "two"):
        assert await result(text) == "miss"
        assert await result(text) == "hit"
    names = client.keys("headrace:cache:a:*")
    assert isinstance(names, list)
    first, second = names
    assert await result("one", bytes(32)) == "miss"
    sealed = [client.get(name) for name in (first, second)]
    for name, other in zip((second, first), sealed, strict=True):
        assert isinstance(other, bytes)
        client.set(name, other)
    assert [await result(text) for text in ("one", "two")] == ["miss", "miss"]
    for broken in (b"", b"\x01", b"\x02" + bytes(40), b"\x01" + bytes(40)):
        for name in names:
            client.set(name, broken)
        assert await result("one") == "miss"


async def test_clearing_reaches_every_gateway(gateway: Gateway, redis_server: RedisServer) -> None:
    model = model_of(ScriptedBackend(speaks))
    here, there = gateway(redis_server), gateway(redis_server)
    for cache in (here, there):
        await cache.start()
        await listen(cache, question(model))
        await settled(cache)
    command = SharedStore(CacheRedisSettings(url=redis_server.url), SECRET)
    assert await command.count() == 1
    assert await command.clear() == 1
    assert await command.count() == 0
    await command.close()
    while here.entries or there.entries:
        await asyncio.sleep(0.02)
    assert (await listen(there, question(model))).result == "miss"


async def test_a_taken_back_answer_is_gone_from_redis(
    gateway: Gateway, redis_server: RedisServer
) -> None:
    model, here = model_of(ScriptedBackend(speaks)), gateway(redis_server)
    key = (await listen(here, question(model))).source.key
    assert key is not None
    await settled(here)
    here.discard(key)
    await settled(here)
    assert redis_server.client.keys("headrace:cache:a:*") == []


@pytest.mark.parametrize("harm", ["kill", "freeze"])
async def test_without_redis_the_model_is_asked_and_afterwards_it_is_used_again(
    gateway: Gateway, own_redis: RedisServer, harm: str
) -> None:
    model = model_of(ScriptedBackend(speaks))
    here = gateway(own_redis, timeout_s=0.2)
    await here.start()
    shared = here.shared
    assert shared is not None
    getattr(own_redis, harm)()
    heard = await listen(here, question(model))
    assert (heard.result, heard.text) == ("miss", "".join(WORDS))
    await settled(here)
    assert shared.failures == 1
    assert (await listen(here, question(model))).result == "hit", "memory goes on"
    own_redis.thaw() if harm == "freeze" else own_redis.start()
    await until(lambda: not shared.is_away)
    await listen(here, question(model, "another"))
    await settled(here)
    assert (await listen(gateway(own_redis), question(model, "another"))).result == "hit"
    assert shared.failures == 1


def test_an_address_that_is_none_is_said() -> None:
    with pytest.raises(ConfigError, match=r"cache\.redis\.url is not the address of a Redis"):
        build_shared(CacheRedisSettings(url="localhost:6379"), SECRET)
