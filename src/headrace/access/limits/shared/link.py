"""The connection to Redis: one script, called with one batch at a time."""

from importlib import resources

import msgspec
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from headrace.access.limits.config import ADDRESSES, RedisConfig
from headrace.access.limits.shared.wire import Batch, Reply, decode_reply, encode_batch
from headrace.errors import ConfigError

__all__ = ["Away", "Link"]


class Away(Exception):
    """Redis did not answer, or answered with an error."""


class Link:
    """See the module. The client's own retries are off: an unanswered batch may have counted."""

    def __init__(self, config: RedisConfig) -> None:
        """
        Raises:
            ConfigError: the address is not one.
        """
        try:
            self._client = Redis.from_url(
                config.url,
                socket_timeout=config.timeout_s,
                socket_connect_timeout=config.timeout_s,
                retry=Retry(NoBackoff(), 0),
                protocol=2,
            )
        except ValueError:
            # Its text may quote the address, and that a password.
            raise ConfigError(
                "limits.redis.url is not the address of a Redis", hint=ADDRESSES
            ) from None
        text = resources.files("headrace.access.limits.shared").joinpath("script.lua")
        self._script = self._client.register_script(text.read_text("utf-8"))
        # Braces: in a cluster, all names go to one node, or a script could not use them together.
        self._key = "{" + config.prefix + "}"

    async def run(self, batch: Batch) -> Reply:
        """Have a batch counted.

        Raises:
            Away: it may or may not have been counted; send it again with the same number.
        """
        try:
            packed = await self._script(keys=[self._key], args=[encode_batch(batch)])
            return decode_reply(packed)
        except (RedisError, OSError, TimeoutError, msgspec.MsgspecError) as error:
            # The answer may still come, and must not be taken for the next one's.
            await self._client.connection_pool.disconnect(inuse_connections=True)
            raise Away(str(error) or type(error).__name__) from error

    async def close(self) -> None:
        await self._client.aclose()
