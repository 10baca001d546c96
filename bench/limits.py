"""What limits cost a call: in memory, with the journal, and shared in Redis.

    .venv/bin/python bench/limits.py [--calls 50000]

Prints microseconds for letting a call in, settling and releasing it, under one rule and under
four, beside the least that could be in the same run: a look into a dictionary and two additions;
for what survives a kill, two memory copies into the journal; for Redis, the round trip of a
script that does nothing. Compare ratios; the machine decides the rest. Redis is started on a
socket of its own, and left out where there is no redis-server.
"""

import argparse
import asyncio
import shutil
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as NotThere

from headrace.access.limits.config import Limits, RedisConfig
from headrace.access.limits.limiter import LIMIT_USE, MemoryLimiter
from headrace.access.limits.rule import Rule
from headrace.access.limits.shared.limiter import SharedLimiter
from headrace.access.limits.store import limit_handlers
from headrace.access.principal import Principal
from headrace.storage.database import Database
from headrace.storage.writer import BatchWriter

KEY = Principal("01a20fe2-cd62-7085-8c6d-2ea2d425662e", "reporting", "user", "research")
ONE = (Rule(requests_per_minute=10**9, tokens_per_minute=10**12),)
FOUR = (
    Rule(requests_per_minute=10**9, tokens_per_minute=10**12, concurrent=10**6),
    Rule(key="rep*", usd_per_day=1e9, usd_per_month=1e9),
    Rule(team="research", model="gpt-*", per=("team",), tokens_per_minute=10**12),
    Rule(per=(), requests_per_minute=10**9),
)
AT_ONCE = 64
JOURNAL_BYTES = 256 * 1024 * 1024


def timed(what: Callable[[], object], calls: int) -> float:
    """Microseconds a call, the best of three."""
    best = float("inf")
    for _ in range(3):
        began = time.perf_counter()
        for _ in range(calls):
            what()
        best = min(best, (time.perf_counter() - began) / calls * 1e6)
    return best


def row(name: str, ours: float, bare: float, bare_is: str) -> None:
    print(f"{name:34}{ours:9.2f}{bare:9.2f}{ours / bare:8.1f}   {bare_is}")


def call_of(limiter: MemoryLimiter) -> Callable[[], None]:
    def call() -> None:
        with limiter.admit(KEY, "gpt-5", 400, time.time(), estimated_cost_usd=0.01) as admission:
            admission.settle(300, 0.008)

    return call


def in_memory(calls: int) -> None:
    used: dict[str, int] = {KEY.key_id: 0}

    def bare() -> None:
        if used[KEY.key_id] + 400 < 10**12:
            used[KEY.key_id] += 400
        used[KEY.key_id] -= 100

    least = timed(bare, calls)
    for name, rules in (("one rule", ONE), ("four rules", FOUR)):
        ours = timed(call_of(MemoryLimiter(Limits(rules=rules))), calls)
        row(f"memory, {name}", ours, least, "dictionary, two additions")
    limiter = MemoryLimiter(Limits(rules=FOUR))
    call_of(limiter)()
    ours = timed(lambda: limiter.headers(KEY, "gpt-5"), calls)
    row("headers, four rules", ours, least, "the same")


def with_journal(folder: Path, calls: int) -> None:
    database = Database.open(folder / "state.db")
    # Not started: its thread would take the interpreter from what is measured.
    writer = BatchWriter(
        database, folder / "journal", limit_handlers(), capacity_bytes=JOURNAL_BYTES
    )
    few = min(calls, 20_000)
    payload = bytes(150)

    def bare() -> None:
        writer.append(LIMIT_USE, payload)
        writer.append(LIMIT_USE, payload)

    least = timed(bare, few)
    for name, rules in (("one rule", ONE), ("four rules", FOUR)):
        ours = timed(call_of(MemoryLimiter(Limits(rules=rules), writer=writer)), few)
        row(f"memory and journal, {name}", ours, least, "two records of 150 bytes")
    assert not writer.shed, "fewer --calls fit into the journal"
    database.close()


async def each(what: Callable[[], Awaitable[object]], calls: int) -> float:
    """Microseconds a call, one after the other."""
    began = time.perf_counter()
    for _ in range(calls):
        await what()
    return (time.perf_counter() - began) / calls * 1e6


async def together(what: Callable[[], Awaitable[object]], calls: int) -> float:
    """Microseconds a call, many at once."""

    async def several() -> None:
        for _ in range(calls // AT_ONCE):
            await what()

    began = time.perf_counter()
    await asyncio.gather(*(several() for _ in range(AT_ONCE)))
    return (time.perf_counter() - began) / calls * 1e6


async def in_redis(folder: Path, calls: int) -> None:
    path = folder / "redis.sock"
    options = ("--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(folder))
    server = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
    client = Redis(unix_socket_path=str(path), protocol=2, max_connections=AT_ONCE)
    config = RedisConfig(url=f"unix://{path}", timeout_s=5)
    limiter = SharedLimiter(Limits(rules=FOUR, redis=config), config)
    try:
        await until_there(client)
        await limiter.start()
        sha = await client.script_load("return 1")

        async def bare() -> None:
            await client.evalsha(sha, 0)

        async def call() -> None:
            now = time.time()
            with await limiter.admit(KEY, "gpt-5", 400, now, estimated_cost_usd=0.01) as admission:
                admission.settle(300, 0.008)

        await call()
        row("redis, four rules, one at a time", await each(call, calls), await each(bare, calls),
            "EVALSHA of `return 1`")  # fmt: skip
        row(f"redis, four rules, {AT_ONCE} at once", await together(call, calls),
            await together(bare, calls), "the same")  # fmt: skip
        assert not limiter.is_away
    finally:
        await limiter.close()
        await client.aclose()
        server.kill()
        server.wait()


async def until_there(client: "Redis") -> None:
    while True:
        try:
            await client.ping()
        except NotThere:
            await asyncio.sleep(0.05)
        else:
            return


def main(calls: int) -> None:
    print(f"{'µs a call':34}{'headrace':>9}{'bare':>9}{'ratio':>8}   bare is")
    in_memory(calls)
    with tempfile.TemporaryDirectory() as name:
        with_journal(Path(name), calls)
        if shutil.which("redis-server") is not None:
            asyncio.run(in_redis(Path(name), min(calls, 4_096)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=50_000)
    main(parser.parse_args().calls)
