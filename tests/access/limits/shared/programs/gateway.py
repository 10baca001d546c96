"""One of several gateways: lets in as many calls as it can, until there is no room for any.

    python gateway.py URL

Says `ready` and waits for a line; makes some calls, says `some` and waits for another; then goes on
until each of its callers has been refused many times. Prints each call it let in as a line.
"""

import asyncio
import sys
import time

from headrace.access.limits.config import Limits, RedisConfig
from headrace.access.limits.errors import LimitExceeded
from headrace.access.limits.rule import Rule
from headrace.access.limits.shared.limiter import SharedLimiter
from headrace.access.principal import Principal

RULES = (Rule(requests_per_minute=500, tokens_per_minute=40_000, usd_per_day=1_000, concurrent=20),)
KEY = Principal("key-a", "a", "user")
CALLERS = 12
FIRST_CALLS = 3
REFUSALS = 30


async def call(limiter: SharedLimiter) -> bool:
    """One call; False: there is no room within this minute."""
    try:
        admission = await limiter.admit(KEY, "m", 100, time.time(), estimated_cost_usd=0.01)
    except LimitExceeded as error:
        await asyncio.sleep(0.005)
        return "at the same time" in error.message
    with admission:
        print("call", flush=True)
        await asyncio.sleep(0.02)
        admission.settle(90, 0.004)
    return True


async def some_calls(limiter: SharedLimiter) -> None:
    for _ in range(FIRST_CALLS):
        await call(limiter)


async def calls_while_there_is_room(limiter: SharedLimiter) -> None:
    refused = 0
    while refused < REFUSALS:
        refused += not await call(limiter)


async def told_to_go_on(said: str) -> None:
    print(said, flush=True)
    await asyncio.to_thread(sys.stdin.readline)


async def main(url: str) -> None:
    config = RedisConfig(url=url, timeout_s=10)
    limiter = SharedLimiter(Limits(rules=RULES, redis=config), config)
    await limiter.start()
    await told_to_go_on("ready")
    await asyncio.gather(*(some_calls(limiter) for _ in range(CALLERS)))
    await told_to_go_on("some")
    await asyncio.gather(*(calls_while_there_is_room(limiter) for _ in range(CALLERS)))
    await limiter.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
