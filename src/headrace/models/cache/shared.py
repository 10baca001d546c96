"""Answers that several gateways share, in Redis. Personal text, so Redis sees ciphertext only.

A value is AES-256-GCM under a key derived from the master key, which the gateways have to have in
common (`HEADRACE_MASTER_KEY`); its name in Redis is an HMAC of the question's digest, because a
plain digest would tell whoever can read Redis whether a text they guess was asked. The name is
authenticated with the value, so that no answer can be put in another's place.

A Redis that is away is a miss. It is asked again once a second, by `look`, so that only the call
that found it away has waited for it. Needs the extra `redis`.
"""

import asyncio
import hashlib
import hmac
import logging
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from headrace.errors import ConfigError
from headrace.models.cache.errors import SharedCacheAway
from headrace.models.cache.settings import CacheRedisSettings

__all__ = ["SharedStore"]

WRITES = 64
"""Answers on their way to Redis at a time; further ones are kept here only."""
CONNECTIONS = 64
_VERSION = b"\x01"
_NONCE = 12
_AWAY = (RedisError, OSError, TimeoutError)

_log = logging.getLogger(__name__)


class SharedStore:
    """See the module."""

    def __init__(self, settings: CacheRedisSettings, secret: bytes) -> None:
        """
        Args:
            secret: 32 bytes that all gateways have, and Redis has not.

        Raises:
            ConfigError: the address is not that of a Redis.
        """
        self.is_away = False
        self.failures = 0
        """How often Redis went away."""
        self._aead = AESGCM(_derived(secret, b"values"))
        self._naming = _derived(secret, b"names")
        self._prefix = f"{settings.prefix}:cache"
        self._generation = b"0"
        self._writes: set[asyncio.Task[None]] = set()
        try:
            self._client = Redis.from_url(
                settings.url,
                socket_timeout=settings.timeout_s,
                socket_connect_timeout=settings.timeout_s,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
                max_connections=CONNECTIONS,
            )
        except ValueError as error:
            raise ConfigError(
                f"cache.redis.url is not the address of a Redis: {error}",
                hint="write redis://HOST:6379/0, rediss://… or unix:///path/to/redis.sock",
            ) from None

    async def get(self, key: bytes) -> bytes | None:
        """The answer's payload; None where there is none, or Redis is away."""
        if self.is_away:
            return None
        name = self._name(key)
        try:
            sealed = await self._client.get(name)
        except _AWAY as error:
            self._lost(error)
            return None
        return self._opened(name, sealed) if isinstance(sealed, bytes) else None

    def put(self, key: bytes, payload: bytes, ttl_s: float) -> None:
        """Send it there, without waiting."""
        if self.is_away or len(self._writes) >= WRITES:
            return
        task = asyncio.create_task(self._write(self._name(key), payload, ttl_s))
        self._writes.add(task)
        task.add_done_callback(self._writes.discard)

    def discard(self, key: bytes) -> None:
        """Take it out, without waiting."""
        if not self.is_away:
            task = asyncio.create_task(self._write(self._name(key), None, 0))
            self._writes.add(task)
            task.add_done_callback(self._writes.discard)

    async def look(self) -> bool:
        """See whether Redis is there; True when all its answers were cleared since the last look."""
        try:
            found = await self._client.get(f"{self._prefix}:generation")
        except _AWAY as error:
            self._lost(error)
            return False
        if self.is_away:
            self.is_away = False
            _log.info("the Redis of cache.redis answers again")
        before = self._generation
        self._generation = found if isinstance(found, bytes) else b"0"
        return before != self._generation

    async def clear(self) -> int:
        """Delete every gateway's answers; how many there were.

        Raises:
            SharedCacheAway: it does not answer.
        """
        count = 0
        try:
            # First out of reach for all gateways, then gone.
            await self._client.incr(f"{self._prefix}:generation")
            async for name in self._client.scan_iter(f"{self._prefix}:a:*", count=500):
                count += await self._client.unlink(name)
        except _AWAY as error:
            raise SharedCacheAway(
                f"the Redis of cache.redis does not answer: {error}",
                hint="check cache.redis.url, and that it runs",
            ) from error
        return count

    async def count(self) -> int:
        """How many answers are there."""
        return len(
            [name async for name in self._client.scan_iter(f"{self._prefix}:a:*", count=500)]
        )

    async def flush(self) -> None:
        """Wait until what was put has arrived, or failed to."""
        await asyncio.gather(*self._writes, return_exceptions=True)

    async def close(self) -> None:
        await self.flush()
        await self._client.aclose()

    async def _write(self, name: str, payload: bytes | None, ttl_s: float) -> None:
        try:
            if payload is None:
                await self._client.unlink(name)
            else:
                sealed = self._sealed(name, payload)
                await self._client.set(name, sealed, px=max(1, round(ttl_s * 1000)))
        except _AWAY as error:
            self._lost(error)

    def _name(self, key: bytes) -> str:
        digest = hmac.digest(self._naming, self._generation + b" " + key, hashlib.sha256().name)
        return f"{self._prefix}:a:{digest[:16].hex()}"

    def _sealed(self, name: str, payload: bytes) -> bytes:
        nonce = os.urandom(_NONCE)
        return _VERSION + nonce + self._aead.encrypt(nonce, payload, name.encode())

    def _opened(self, name: str, sealed: bytes) -> bytes | None:
        """The payload; None for what was not sealed with our key under that name."""
        if sealed[:1] != _VERSION or len(sealed) <= 1 + _NONCE:
            return None
        try:
            return self._aead.decrypt(sealed[1 : 1 + _NONCE], sealed[1 + _NONCE :], name.encode())
        except InvalidTag:
            return None

    def _lost(self, error: BaseException) -> None:
        if not self.is_away:
            self.is_away = True
            self.failures += 1
            _log.error(
                "the Redis of cache.redis does not answer (%s): its answers are missed", error
            )


def _derived(secret: bytes, label: bytes) -> bytes:
    return hmac.digest(secret, b"headrace answer cache " + label, hashlib.sha256().name)
