"""One of several gateways: lets in as many calls as it can within some seconds.

    python gateway.py URL SECONDS

Says `ready`, and begins when it reads a line. Then prints the time of each call it let in, one a
line, as it comes.
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


async def calls(limiter: SharedLimiter, until: float) -> None:
    key = Principal("key-a", "a", "user")
    while (now := time.time()) < until:
        try:
            admission = await limiter.admit(key, "m", 100, now, estimated_cost_usd=0.01)
        except LimitExceeded:
            await asyncio.sleep(0.005)
            continue
        with admission:
            print(now, flush=True)
            await asyncio.sleep(0.03)
            admission.settle(90, 0.004)


async def main(url: str, seconds: float) -> None:
    config = RedisConfig(url=url)
    limiter = SharedLimiter(Limits(rules=RULES, redis=config), config)
    await limiter.start()
    print("ready", flush=True)
    sys.stdin.readline()
    until = time.time() + seconds
    await asyncio.gather(*(calls(limiter, until) for _ in range(12)))
    await limiter.close()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], float(sys.argv[2])))
