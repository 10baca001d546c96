"""Figures about the deployments in use, for Prometheus. Names: docs/balancing.md lists them all."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from headrace.models.balance.health import HealthState
from headrace.models.box import ModelBox
from headrace.models.remote import RemoteBackend

__all__ = ["DeploymentCollector"]

_LABELS = ("model", "deployment")


class DeploymentCollector(Collector):
    """Reads the balancers at each scrape."""

    def __init__(
        self,
        models: Callable[[], ModelBox],
        days_left: Callable[[], Mapping[tuple[str, str], int]],
    ) -> None:
        """
        Args:
            models: those of the service that runs now.
            days_left: until a model is shut down, by (model, deployment).
        """
        self._models = models
        self._days_left = days_left

    def collect(self) -> Iterator[Metric]:
        outstanding = GaugeMetricFamily(
            "headrace_deployment_calls", "Calls at the deployment now.", labels=_LABELS
        )
        capacity = GaugeMetricFamily(
            "headrace_deployment_capacity",
            "Calls it takes at once, declared or as learned so far.",
            labels=_LABELS,
        )
        usable = GaugeMetricFamily(
            "headrace_deployment_up", "1 unless it is out because calls failed.", labels=_LABELS
        )
        waiting = GaugeMetricFamily(
            "headrace_model_waiting_calls", "Calls that wait for a deployment.", labels=("model",)
        )
        connections = GaugeMetricFamily(
            "headrace_upstream_connections",
            "Connections to the deployment's server.",
            labels=(*_LABELS, "state"),
        )
        seen: set[int] = set()
        for model in self._models().models():
            waiting.add_metric((model.name,), model.balancer.waiting)
            for each in model.balancer.snapshot():
                labels = (model.name, each.key)
                outstanding.add_metric(labels, each.outstanding)
                usable.add_metric(labels, float(each.health is HealthState.HEALTHY))
                if each.capacity is not None:
                    capacity.add_metric(labels, each.capacity)
            for place in model.deployments:
                backend = place.backend
                state = backend.connections if isinstance(backend, RemoteBackend) else None
                # Deployments of the same settings share a backend, whose connections count once.
                if state is None or id(backend) in seen:
                    continue
                seen.add(id(backend))
                labels = (model.name, place.key)
                connections.add_metric((*labels, "busy"), state.open - state.idle)
                connections.add_metric((*labels, "idle"), state.idle)
                connections.add_metric((*labels, "connecting"), state.connecting)
        retires = GaugeMetricFamily(
            "headrace_model_retires_in_days",
            "Days until the provider shuts the model down; below 0 once it has.",
            labels=_LABELS,
        )
        for labels, days in self._days_left().items():
            retires.add_metric(labels, days)
        yield from (outstanding, capacity, usable, waiting, connections, retires)
