"""Figures about limits, for Prometheus. Names: docs/limits.md lists them all."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from headrace.access.limits.limiter import Limiter

__all__ = ["LimitCollector"]


class LimitCollector(Collector):
    """Register it with the service's registry, once. The labels are as many as there are rules."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter

    def collect(self) -> Iterator[Metric]:
        limiter = self._limiter
        rejections = CounterMetricFamily(
            "headrace_limit_rejections",
            "Calls refused, by the limit that had no room and the rule it belongs to.",
            labels=("limit", "rule"),
        )
        # A copy in one step: the event loop goes on counting meanwhile.
        for (dimension, rule), count in dict(limiter.rejections).items():
            rejections.add_metric((dimension, rule), count)
        yield rejections
        yield GaugeMetricFamily(
            "headrace_limit_scopes",
            "Keys, teams and models whose use is held in memory.",
            value=limiter.scopes,
        )
        if limiter.shares:
            yield GaugeMetricFamily(
                "headrace_limit_redis_up",
                "1 while the Redis of limits.redis answers.",
                value=float(not limiter.is_away),
            )
            yield CounterMetricFamily(
                "headrace_limit_redis_failures",
                "How often that Redis went away.",
                value=limiter.failures,
            )
