"""What shared counters hold now, asked once by a person."""

from collections.abc import Sequence

import redis
from redis.exceptions import RedisError

from headrace.access.limits.config import ADDRESSES, RedisConfig
from headrace.access.limits.errors import LimitsUnavailable
from headrace.access.limits.rule import Dimension
from headrace.access.limits.window import SLOTS, slot_at
from headrace.errors import ConfigError

__all__ = ["SharedReader"]


class SharedReader:
    """See `Reader`."""

    def __init__(self, config: RedisConfig) -> None:
        """
        Raises:
            ConfigError: the address is not that of a Redis.
        """
        try:
            self._client = redis.Redis.from_url(config.url, socket_timeout=5, protocol=2)
        except ValueError:
            raise ConfigError(
                "limits.redis.url is not the address of a Redis", hint=ADDRESSES
            ) from None
        self._prefix = "{" + config.prefix + "}"

    def read(self, names: Sequence[tuple[str, Dimension, int]]) -> list[float | None]:
        """See `Reader`.

        Raises:
            LimitsUnavailable: Redis does not answer.
        """
        try:
            return self._read(names)
        except (RedisError, OSError) as error:
            raise LimitsUnavailable(
                f"the Redis of limits.redis does not answer: {error}",
                hint="check limits.redis.url, and that it runs",
            ) from error
        finally:
            self._client.close()

    def _read(self, names: Sequence[tuple[str, Dimension, int]]) -> list[float | None]:
        seconds, microseconds = self._client.time()
        now = float(seconds) + float(microseconds) / 1e6
        pipeline = self._client.pipeline(transaction=False)
        for name, dimension, period in names:
            if dimension == "concurrent":
                pipeline.zcount(f"{self._prefix}:c:{name}", now, "+inf")
            elif dimension in ("usd_per_day", "usd_per_month"):
                pipeline.get(f"{self._prefix}:s:{name}:{period}")
            else:
                pipeline.hgetall(f"{self._prefix}:w:{name}")
        return [_amount(got, slot_at(now)) for got in pipeline.execute()]


def _amount(got: object, slot: int) -> float:
    if isinstance(got, dict):
        return _in_window(got, slot)
    return float(got) if isinstance(got, bytes | int) else 0.0


def _in_window(fields: dict[bytes, bytes], slot: int) -> float:
    head = int(fields.get(b"h", 0))
    newest = max(head, slot)
    return sum(
        int(fields.get(b"%d" % (each % SLOTS), 0))
        for each in range(newest - SLOTS + 1, head + 1)
        if each > head - SLOTS
    )
