"""Limits that several gateways share, on a real Redis."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

from headrace.access.limits.admission import Admission
from headrace.access.limits.config import Limits, RedisConfig
from headrace.access.limits.errors import LimitExceeded, LimitsUnavailable, QuotaExceeded
from headrace.access.limits.rule import Rule
from headrace.access.limits.shared import limiter as shared_limiter
from headrace.access.limits.shared.limiter import SharedLimiter
from headrace.access.limits.shared.link import Link
from headrace.access.limits.shared.reader import SharedReader
from headrace.access.limits.usage import current_use
from headrace.access.principal import Principal
from headrace.errors import ConfigError
from tests.access.limits.shared.conftest import Make, RedisServer

GATEWAY = Path(__file__).parent / "programs" / "gateway.py"
EPOCH = 1_795_554_333.0
ADA = Principal("key-ada", "ada", "user", "research")
BOB = Principal("key-bob", "bob", "user", "research")


class Clock:
    """A clock that stands still until it is moved; every gateway of a test has the same."""

    def __init__(self) -> None:
        self.now = EPOCH

    def __call__(self) -> float:
        return self.now


async def admit(
    limiter: SharedLimiter,
    who: Principal = ADA,
    *,
    tokens: int = 1,
    usd: float = 0.0,
    now: float | None = None,
) -> Admission:
    at = time.time() if now is None else now
    return await limiter.admit(who, "m", tokens, at, estimated_cost_usd=usd)


def remaining(limiter: SharedLimiter, what: str) -> int:
    return int(dict(limiter.headers(ADA, "m"))[f"x-ratelimit-remaining-{what}".encode()])


async def until(condition: object, limiter: SharedLimiter) -> None:
    """Wait for a condition on the limiter; the test's own time limit ends it."""
    assert callable(condition)
    while not condition(limiter):
        await asyncio.sleep(0.01)


async def test_two_gateways_share_one_limit(redis_server: RedisServer, make: Make) -> None:
    one, other = (make(redis_server, Rule(requests_per_minute=10)) for _ in range(2))
    await one.start()
    await other.start()
    for limiter in (one, other) * 5:
        (await admit(limiter)).release()
    for limiter in (one, other):
        with pytest.raises(LimitExceeded) as caught:
            await admit(limiter)
        assert caught.value.message == (
            "rate limit reached for requests per minute (all): limit 10, used 10, requested 1"
        )
        assert caught.value.retry_after_s is not None
        assert 55 < caught.value.retry_after_s <= 60.5
        assert limiter.rejections == {("requests_per_minute", "all"): 1}
    await admit(one, BOB)


async def test_what_was_not_used_is_there_for_the_other_gateway(
    redis_server: RedisServer, make: Make
) -> None:
    rule = Rule(team="research", per=("team",), tokens_per_minute=1_000, usd_per_day=1)
    one, other = (make(redis_server, rule) for _ in range(2))
    await one.start()
    await other.start()
    admission = await admit(one, tokens=900, usd=0.9)
    with pytest.raises(LimitExceeded, match="used 900, requested 200"):
        await admit(other, BOB, tokens=200)
    with pytest.raises(QuotaExceeded, match=r"\$0.9000 spent, \$0.2000 may be needed"):
        await admit(other, BOB, usd=0.2)
    admission.settle(300, 0.25)
    admission.release()
    admission.release()
    await settled(one)
    (await admit(other, BOB, tokens=700, usd=0.75)).settle(700, 0.75)
    assert remaining(one, "tokens") == 700
    with pytest.raises(LimitExceeded):
        await admit(one, tokens=1)


async def test_tokens_are_given_back_where_redis_took_them_whatever_the_gateways_clock_says(
    redis_server: RedisServer, make: Make
) -> None:
    late, other = (make(redis_server, Rule(per=(), tokens_per_minute=1_000)) for _ in range(2))
    await late.start()
    await other.start()
    (await admit(late, tokens=900, now=time.time() - 300)).settle(100)
    await settled(late)
    await admit(other, tokens=900)


async def settled(limiter: SharedLimiter) -> None:
    """Wait until Redis knows all that this gateway has to say."""
    await until(lambda each: not each._backlog and not each._is_flushing, limiter)
    number = limiter._number
    limiter._beat_at = 0.0
    limiter._wake.set()
    await until(lambda each: each._number > number, limiter)


async def test_windows_slide_in_redis_as_they_do_in_memory(
    redis_server: RedisServer, make: Make
) -> None:
    clock = Clock()
    limiter = make(redis_server, Rule(tokens_per_minute=100), clock=clock)
    await limiter.start()
    (await admit(limiter, tokens=60, now=clock.now)).settle(60)
    clock.now += 30
    (await admit(limiter, tokens=40, now=clock.now)).settle(40)
    with pytest.raises(LimitExceeded) as caught:
        await admit(limiter, tokens=50, now=clock.now)
    assert caught.value.retry_after_s == 30.5 - 0.5 * (EPOCH % 0.5 > 0)
    clock.now += caught.value.retry_after_s - 0.1
    with pytest.raises(LimitExceeded):
        await admit(limiter, tokens=50, now=clock.now)
    clock.now += 0.1
    (await admit(limiter, tokens=60, now=clock.now)).settle(60)
    clock.now += 200
    (await admit(limiter, tokens=100, now=clock.now)).settle(100)
    with pytest.raises(LimitExceeded) as caught:
        await admit(limiter, tokens=101, now=clock.now)
    assert caught.value.retry_after_s is None


async def test_places_are_shared_and_free_at_once_when_calls_end(
    redis_server: RedisServer, make: Make
) -> None:
    rule = Rule(per=(), concurrent=2)
    one, other = (make(redis_server, rule) for _ in range(2))
    await one.start()
    await other.start()
    first, _ = await admit(one), await admit(other)
    for limiter in (one, other):
        with pytest.raises(LimitExceeded, match="calls at the same time"):
            await admit(limiter)
    first.release()
    await settled(one)
    (await admit(other)).release()


async def test_places_of_a_gateway_that_died_come_back(
    redis_server: RedisServer, make: Make
) -> None:
    clock = Clock()
    died, alive = (make(redis_server, Rule(per=(), concurrent=1), clock=clock) for _ in range(2))
    await died.start()
    await alive.start()
    await admit(died, now=clock.now)
    assert died._task is not None
    died._task.cancel()
    with pytest.raises(LimitExceeded):
        await admit(alive, now=clock.now)
    clock.now += shared_limiter.BEAT_S * 3 + 1
    await admit(alive, now=clock.now)


async def test_a_long_call_keeps_its_place(
    redis_server: RedisServer, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shared_limiter, "BEAT_S", 0.05)
    holding, asking = (make(redis_server, Rule(per=(), concurrent=1)) for _ in range(2))
    await holding.start()
    await asking.start()
    await admit(holding)
    begun = holding._number
    # Ten signs of life are more than three times as long as a lease lasts.
    await until(lambda each: each._number > begun + 10, holding)
    with pytest.raises(LimitExceeded):
        await admit(asking)


async def test_calls_that_come_together_need_one_round_trip(
    redis_server: RedisServer, make: Make
) -> None:
    limiter = make(redis_server, Rule(requests_per_minute=100, concurrent=60))
    await limiter.start()
    await admit(limiter)
    before = limiter._number
    outcomes = await asyncio.gather(*(admit(limiter) for _ in range(100)), return_exceptions=True)
    assert sum(isinstance(each, Admission) for each in outcomes) == 59
    assert sum(isinstance(each, LimitExceeded) for each in outcomes) == 41
    assert limiter._number - before <= 2


async def test_a_caller_that_gives_up_waiting_holds_nothing(
    redis_server: RedisServer, make: Make
) -> None:
    limiter = make(redis_server, Rule(tokens_per_minute=100, concurrent=1))
    await limiter.start()
    for _ in range(5):
        waiting = asyncio.create_task(admit(limiter, tokens=100))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    await settled(limiter)
    await settled(limiter)
    await admit(limiter, tokens=100)


class Gateway:
    """A gateway in a process of its own; see programs/gateway.py."""

    def __init__(self, server: RedisServer) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(GATEWAY), server.url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self.admitted = 0

    def until(self, said: bytes) -> None:
        assert self.process.stdout is not None
        while (line := self.process.stdout.readline().strip()) != said:
            assert line == b"call", line
            self.admitted += 1

    def go_on(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")
        self.process.stdin.flush()

    def end(self) -> None:
        """Wait for its end, and count what it said until then."""
        self.admitted += self.process.communicate(timeout=60)[0].count(b"call")


def test_two_processes_together_get_the_limit_and_no_more(redis_server: RedisServer) -> None:
    gateways = [Gateway(redis_server) for _ in range(2)]
    for said in (b"ready", b"some"):
        for gateway in gateways:
            gateway.until(said)
        for gateway in gateways:
            gateway.go_on()
    for gateway in gateways:
        assert gateway.admitted > 20, "it had its part"
    for gateway in gateways:
        gateway.end()
        assert gateway.process.returncode == 0
    admitted = sum(gateway.admitted for gateway in gateways)
    # 40,000 tokens a minute are 444 calls of 90; a call reserves 100 until it is settled.
    assert 440 <= admitted <= 444
    (day,) = redis_server.client.keys("{headrace}:s:*")
    spent = redis_server.client.get(day)
    assert isinstance(spent, bytes)
    assert float(spent) == pytest.approx(admitted * 0.004, rel=0.001)
    assert redis_server.client.keys("{headrace}:c:*") == [], "no place leaked"


def test_a_killed_gateway_leaves_exact_counts(redis_server: RedisServer) -> None:
    gateway = Gateway(redis_server)
    gateway.until(b"ready")
    gateway.go_on()
    gateway.until(b"some")
    gateway.go_on()
    assert gateway.process.stdout is not None
    for _ in range(150):
        gateway.admitted += gateway.process.stdout.readline() == b"call\n"
    gateway.process.kill()
    gateway.end()
    (window,) = redis_server.client.keys('{headrace}:w:?"requests*')
    total = redis_server.client.hget(window, "t")
    assert isinstance(total, bytes)
    # The calls under way when it was killed may have been let in and not been printed.
    assert gateway.admitted <= int(total) <= gateway.admitted + 12


async def test_when_redis_is_gone_each_gateway_has_its_part(
    own_redis: RedisServer, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = (make(own_redis, Rule(requests_per_minute=20)) for _ in range(2))
    await one.start()
    await other.start()
    for _ in range(4):
        (await admit(one)).release()
        (await admit(other)).release()
    for limiter in (one, other):
        await settled(limiter)
    own_redis.kill()
    for limiter in (one, other):
        for _ in range(6):
            (await admit(limiter)).release()
        with pytest.raises(LimitExceeded, match="limit 10, used 10"):
            await admit(limiter)
        assert (limiter.is_away, limiter.failures) == (True, 1)
    said = [r.message for r in caplog.records if "does not answer" in r.message]
    assert len(said) == 2, "each says it once"
    assert "counting here, 1/2 of each limit" in said[0]

    own_redis.start()
    for limiter in (one, other):
        await until(lambda each: not each.is_away, limiter)
    await settled(one)
    await settled(other)
    with pytest.raises(LimitExceeded, match="limit 20, used 20"):
        await admit(one)


async def test_a_frozen_redis_holds_nobody_up(own_redis: RedisServer, make: Make) -> None:
    rule = Rule(requests_per_minute=100, tokens_per_minute=10_000, usd_per_day=9)
    limiter = make(own_redis, rule, timeout_s=0.25)
    await limiter.start()
    (await admit(limiter, tokens=50, usd=1.0)).settle(50, 1.0)
    await settled(limiter)
    own_redis.freeze()
    try:
        # The first finds out; its batch may be counted by Redis when it goes on.
        waited = await asyncio.gather(*(admit(limiter, tokens=50, usd=1.0) for _ in range(3)))
        assert limiter.is_away
        for each in waited:
            each.settle(20, 0.5)
            each.release()
    finally:
        own_redis.thaw()
    await until(lambda each: not each.is_away, limiter)
    await settled(limiter)
    await settled(limiter)
    probe = await admit(limiter, tokens=1)
    assert remaining(limiter, "requests") == 100 - 5
    assert remaining(limiter, "tokens") == 10_000 - 50 - 3 * 20 - 1
    probe.release()
    (day,) = own_redis.client.keys("{headrace}:s:*")
    assert float(own_redis.client.get(day) or b"0") == pytest.approx(2.5)


async def test_running_calls_keep_their_place_when_redis_was_emptied(
    own_redis: RedisServer, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So that no regular sign of life brings the lease back.
    monkeypatch.setattr(shared_limiter, "BEAT_S", 1_000.0)
    limiter = make(own_redis, Rule(per=(), concurrent=1))
    await limiter.start()
    running = await admit(limiter)
    own_redis.kill()
    with pytest.raises(LimitExceeded):
        await admit(limiter)
    own_redis.start()
    own_redis.client.flushall()
    # Without anybody's doing: its lease is among the first things that Redis is told.
    await until(lambda _: own_redis.client.keys("{headrace}:c:*"), limiter)
    with pytest.raises(LimitExceeded):
        await admit(limiter)
    running.release()
    await settled(limiter)
    (await admit(limiter)).release()


async def test_calls_are_refused_without_redis_where_the_operator_says_so(
    own_redis: RedisServer, make: Make
) -> None:
    limiter = make(own_redis, Rule(requests_per_minute=20), on_error="deny")
    await limiter.start()
    (await admit(limiter)).release()
    own_redis.kill()
    with pytest.raises(LimitsUnavailable) as caught:
        await admit(limiter)
    assert caught.value.code == "limits_unavailable"
    assert "on_error" in caught.value.hint
    own_redis.start()
    await until(lambda each: not each.is_away, limiter)
    (await admit(limiter)).release()


async def test_a_redis_that_is_not_there_yet_is_no_reason_not_to_start(
    own_redis: RedisServer, make: Make
) -> None:
    own_redis.kill()
    limiter = make(own_redis, Rule(requests_per_minute=2))
    await limiter.start()
    (await admit(limiter)).release()
    own_redis.start()
    await until(lambda each: not each.is_away, limiter)
    await settled(limiter)
    (await admit(limiter)).release()
    with pytest.raises(LimitExceeded):
        await admit(limiter)


async def test_edited_rules_go_on_with_what_was_counted(
    redis_server: RedisServer, make: Make
) -> None:
    limiter = make(redis_server, Rule(requests_per_minute=2))
    await limiter.start()
    for _ in range(2):
        (await admit(limiter)).release()
    limiter.change(Limits(rules=(Rule(requests_per_minute=3),)))
    (await admit(limiter)).release()
    with pytest.raises(LimitExceeded, match="limit 3, used 3"):
        await admit(limiter)


@pytest.mark.parametrize("url", ["localhost:6379", "redis://:pass@word@host:x1/0"])
def test_an_address_that_is_none_is_said_with_an_example_and_without_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Link(RedisConfig(url=url))
    assert caught.value.message == "limits.redis.url is not the address of a Redis"
    assert "redis://" in caught.value.hint


async def test_a_limiter_that_was_closed_keeps_nobody_waiting(
    redis_server: RedisServer, make: Make
) -> None:
    limiter = make(redis_server, Rule(requests_per_minute=2))
    await limiter.start()
    (await admit(limiter)).release()
    await limiter.close()
    (await admit(limiter)).release()
    with pytest.raises(LimitExceeded):
        await admit(limiter)


async def test_what_was_used_last_reaches_redis_when_the_gateway_stops(
    redis_server: RedisServer, make: Make
) -> None:
    limiter = make(redis_server, Rule(tokens_per_minute=1_000, concurrent=5))
    await limiter.start()
    with await admit(limiter, tokens=500) as admission:
        admission.settle(20)
    await limiter.close()
    (window,) = redis_server.client.keys("{headrace}:w:*")
    assert redis_server.client.hget(window, "t") == b"20"
    assert not redis_server.client.keys("{headrace}:c:*")


async def test_nothing_in_redis_stays_for_ever(redis_server: RedisServer, make: Make) -> None:
    rule = Rule(requests_per_minute=9, tokens_per_minute=9, concurrent=9, usd_per_month=9)
    limiter = make(redis_server, rule)
    await limiter.start()
    await admit(limiter, usd=0.1)
    keys = redis_server.client.keys("*")
    assert isinstance(keys, list)
    assert len(keys) == 6
    assert all(int(redis_server.client.ttl(key)) > 0 for key in keys)


async def test_what_is_used_can_be_read_from_redis(redis_server: RedisServer, make: Make) -> None:
    rule = Rule(requests_per_minute=9, tokens_per_minute=900, concurrent=9, usd_per_month=9)
    limiter = make(redis_server, rule)
    await limiter.start()
    (await admit(limiter, tokens=100, usd=0.5)).settle(40, 0.25)
    (await admit(limiter, tokens=10)).release()
    await settled(limiter)
    reader = SharedReader(RedisConfig(url=redis_server.url))
    use = current_use(Limits(rules=(rule,)), [ADA, BOB], ["m"], reader, now=time.time())
    assert {(each.key, each.limit): each.used for each in use if each.used} == {
        ("ada", "requests_per_minute"): 2,
        ("ada", "tokens_per_minute"): 40,
        ("ada", "concurrent"): 1,
        ("ada", "usd_per_month"): 0.25,
    }
