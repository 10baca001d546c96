"""The limiter that a service's `limits:` ask for."""

from typing import TYPE_CHECKING

from headrace.access.limits.config import Limits, RedisConfig
from headrace.access.limits.limiter import Limiter, MemoryLimiter
from headrace.access.limits.store import load_counters
from headrace.errors import ConfigError
from headrace.storage.database import Database
from headrace.storage.writer import RecordWriter

if TYPE_CHECKING:
    from headrace.access.limits.usage import Reader

__all__ = ["build_limiter", "build_reader"]

_MISSING = "limits.redis needs the Redis client, which is not installed"
_INSTALL = "pip install 'headrace[redis]'"


def build_limiter(
    limits: Limits, database: Database, writer: RecordWriter, *, now: float
) -> Limiter:
    """Call it once the writer has started; then `start` it, and `close` it before the writer.

    Raises:
        ConfigError: Redis is asked for, and its client is missing or its address is wrong.
    """
    if limits.redis is None:
        return MemoryLimiter(limits, writer=writer, stored=load_counters(database, now=now))
    try:
        from headrace.access.limits.shared.limiter import SharedLimiter
    except ImportError as error:
        raise ConfigError(_MISSING, hint=_INSTALL) from error
    return SharedLimiter(limits, limits.redis)


def build_reader(limits: Limits, database: Database, *, now: float) -> "Reader":
    """What tells how much is used: from the database, or from Redis where that counts.

    Raises:
        ConfigError: as above.
    """
    from headrace.access.limits.usage import StoredReader

    if limits.redis is None:
        return StoredReader(load_counters(database, now=now), now=now)
    return _shared_reader(limits.redis)


def _shared_reader(config: RedisConfig) -> "Reader":
    try:
        from headrace.access.limits.shared.reader import SharedReader
    except ImportError as error:
        raise ConfigError(_MISSING, hint=_INSTALL) from error
    return SharedReader(config)
