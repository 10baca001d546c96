"""The cache that a service's `cache:` asks for."""

from pathlib import Path
from typing import TYPE_CHECKING

from headrace.config.node import Node
from headrace.errors import ConfigError, UnknownModel
from headrace.models.box import ModelBox
from headrace.models.cache.cache import AnswerCache
from headrace.models.cache.settings import CacheRedisSettings, CacheSettings, read_cache

if TYPE_CHECKING:
    from headrace.models.cache.shared import SharedStore

__all__ = ["build_cache", "build_shared", "check_cache"]


def build_cache(settings: CacheSettings, *, home: Path, secret: bytes) -> AnswerCache:
    """`start` it, and `close` it when the last turn has ended.

    Args:
        secret: what answers in Redis are encrypted under (`Vault.cache_secret`).

    Raises:
        ConfigError: Redis is asked for, and its client is missing or its address is wrong.
    """
    shared = None if settings.redis is None else build_shared(settings.redis, secret)
    return AnswerCache(settings, shared=shared, home=home)


def build_shared(settings: CacheRedisSettings, secret: bytes) -> "SharedStore":
    """The store in Redis; raises as above."""
    try:
        from headrace.models.cache.shared import SharedStore
    except ImportError as error:
        raise ConfigError(
            "cache.redis needs the Redis client, which is not installed",
            hint="pip install 'headrace[redis]'",
        ) from error
    return SharedStore(settings, secret)


def check_cache(node: Node | None, models: ModelBox) -> CacheSettings:
    """The section, checked against the models there are.

    Raises:
        ConfigError: with file, line and field.
    """
    settings = read_cache(node)
    if node is not None and settings.semantic is not None:
        try:
            models.get(settings.semantic.model)
        except UnknownModel as error:
            raise node.error(error.message, "semantic", "model", hint=error.hint) from error
    return settings
