"""What `cache:` in headrace.yaml may hold."""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from headrace.config.node import Node

__all__ = ["CacheRedisSettings", "CacheSettings", "SemanticSettings", "Share", "read_cache"]

Share: TypeAlias = Literal["key", "team", "service"]


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every section: unknown fields are errors."""


class SemanticSettings(_Section, frozen=True, kw_only=True):
    """Answers to questions that mean the same (`cache.semantic`)."""

    model: str
    """A model of this service that makes embeddings; questions are compared by them."""
    threshold: Annotated[float, Meta(gt=0, le=1)]
    """Least cosine similarity of two questions; `headrace cache calibrate` measures it."""
    max_entries: Annotated[int, Meta(ge=1, le=20_000)] = 2_000
    """Questions that a new one is compared with, of the same key, model and instructions."""
    timeout_s: Annotated[float, Meta(gt=0)] = 1.0
    """Seconds that an embedding may take; after that the model is asked as if there were none."""


class CacheRedisSettings(_Section, frozen=True, kw_only=True):
    """Answers that several gateways share (`cache.redis`); encrypted under the master key."""

    url: str
    """Address of the Redis: redis://…, rediss://… (TLS) or unix:///path; 7 or newer."""
    timeout_s: Annotated[float, Meta(gt=0)] = 0.1
    """Seconds without an answer after which Redis counts as away, and the model is asked."""
    prefix: str = "headrace"
    """What the names of all keys in Redis begin with."""


class CacheSettings(_Section, frozen=True, kw_only=True):
    """Answers that are given again (`cache:`); without the section none are kept."""

    enabled: bool = True
    """Keep answers; off leaves `coalesce`."""
    coalesce: bool = True
    """Make one call of equal questions that come at the same time, kept or not."""
    share: Share = "key"
    """Who gets whose answers; never across subjects or conversations, whatever it says."""
    ttl_s: Annotated[float, Meta(gt=0)] = 3_600.0
    """Seconds that an answer is kept."""
    max_mb: Annotated[int, Meta(ge=1)] = 64
    """Megabytes of answers in memory; beyond that the least used ones go."""
    max_entry_kb: Annotated[int, Meta(ge=1)] = 256
    """Kilobytes of the longest answer that is kept."""
    max_temperature: Annotated[float, Meta(ge=0, le=2)] = 0.0
    """Highest temperature whose answers are kept; one with a seed may have any. 2 is every call."""
    semantic: SemanticSettings | None = None
    """Also answer questions that mean the same as an earlier one."""
    redis: CacheRedisSettings | None = None
    """Where several gateways share answers; absent: each keeps its own."""


OFF = CacheSettings(enabled=False)


def read_cache(node: Node | None) -> CacheSettings:
    """The section, checked; without one nothing is kept, and equal calls at one time are one.

    Raises:
        ConfigError: with file, line and field.
    """
    return OFF if node is None or node.value is None else node.convert(CacheSettings)
