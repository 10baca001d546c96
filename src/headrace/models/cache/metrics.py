"""Figures about the answer cache, for Prometheus. Names: docs/cache.md lists them all."""

from collections.abc import Iterator
from typing import get_args

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from headrace.models.cache.cache import AnswerCache
from headrace.models.cache.source import Result

__all__ = ["CacheCollector"]


class CacheCollector(Collector):
    """Register it with the service's registry, once."""

    def __init__(self, cache: AnswerCache) -> None:
        self._cache = cache

    def collect(self) -> Iterator[Metric]:
        cache = self._cache
        requests = CounterMetricFamily(
            "headrace_cache_requests", "Model calls, by how they were answered.", labels=("result",)
        )
        for result in get_args(Result):
            requests.add_metric((result,), cache.requests[result])
        yield requests
        yield GaugeMetricFamily(
            "headrace_cache_entries", "Answers kept in memory.", value=cache.entries
        )
        yield GaugeMetricFamily("headrace_cache_bytes", "What they take.", value=cache.size_bytes)
        yield CounterMetricFamily(
            "headrace_cache_evictions", "Answers that left for want of room.", value=cache.evictions
        )
        if cache.shared is not None:
            yield GaugeMetricFamily(
                "headrace_cache_redis_up",
                "1 while the Redis of cache.redis answers.",
                value=float(not cache.shared.is_away),
            )
            yield CounterMetricFamily(
                "headrace_cache_redis_failures",
                "How often that Redis went away.",
                value=cache.shared.failures,
            )
