"""The figures of all workers as one page, whichever worker is asked for it.

Counters and histograms are added up, and so are gauges that count things; any other gauge gets the
label `worker`. Before a worker tells its figures it writes them down: when it is started again it
goes on from there, so no sum that anybody has seen ever gets smaller.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import msgspec
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

__all__ = ["ADDED_GAUGES", "Family", "Figures", "page_of"]

ADDED_GAUGES = frozenset(
    (
        "headrace_cache_bytes",
        "headrace_cache_entries",
        "headrace_turns_active",
        "headrace_deployment_calls",
        "headrace_model_waiting_calls",
        "headrace_upstream_connections",
        "headrace_journal_pending_bytes",
        "headrace_journal_capacity_bytes",
    )
)
"""Gauges of which the service has as many as its workers have together."""
_ADDED = ("counter", "histogram", "summary")
_ONE = ("info",)
"""The same in every worker."""

Sample: TypeAlias = tuple[str, dict[str, str], float]


class Family(msgspec.Struct, array_like=True):
    """A metric with its samples."""

    name: str
    help: str
    kind: str
    samples: list[Sample]


_decode = msgspec.json.Decoder(list[Family]).decode


class Figures:
    """One worker's figures, and those of its predecessors."""

    def __init__(self, registry: CollectorRegistry, kept: Path) -> None:
        """
        Args:
            kept: the file that this worker's figures are written to.
        """
        self._registry = registry
        self._kept = kept
        self._earlier = [each for each in self.read(kept) if each.kind in _ADDED]

    def tell(self) -> bytes:
        """The figures now. Some milliseconds of work and a small file: call it in a thread."""
        data = self.figures()
        fresh = self._kept.with_suffix(f".{os.getpid()}")
        fresh.write_bytes(data)
        fresh.replace(self._kept)
        return data

    def figures(self) -> bytes:
        """The figures now, written down nowhere."""
        own = [_family(metric) for metric in self._registry.collect()]
        return msgspec.json.encode(_added([*own, *self._earlier]))

    @staticmethod
    def read(kept: Path) -> list[Family]:
        """What a worker has told last; nothing if it never did."""
        try:
            return _decode(kept.read_bytes())
        except FileNotFoundError:
            return []


def page_of(told: Mapping[int, bytes], lost: Mapping[int, Sequence[Family]]) -> bytes:
    """The page that Prometheus reads.

    Args:
        told: what each worker says of itself, by slot.
        lost: what those had said before that do not answer; only what is added up still counts.
    """
    families: list[Family] = []
    for slot, data in sorted(told.items()):
        families += _labelled(_decode(data), str(slot))
    for earlier in lost.values():
        families += [each for each in earlier if each.kind in _ADDED]
    return generate_latest(_Page(_added(families)))


class _Page(Collector):
    def __init__(self, families: Sequence[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Metric]:
        for family in self._families:
            metric = Metric(family.name, family.help, family.kind)
            for name, labels, value in family.samples:
                metric.add_sample(name, labels, value)
            yield metric


def _family(metric: Metric) -> Family:
    samples = [
        (each.name, dict(each.labels), float(each.value))
        for each in metric.samples
        if not each.name.endswith("_created")  # a time cannot be added up
    ]
    return Family(metric.name, metric.documentation, metric.type, samples)


def _labelled(families: Iterable[Family], worker: str) -> Iterator[Family]:
    for family in families:
        if family.kind in (*_ADDED, *_ONE) or family.name in ADDED_GAUGES:
            yield family
        else:
            samples = [
                (name, {**labels, "worker": worker}, value)
                for name, labels, value in family.samples
            ]
            yield Family(family.name, family.help, family.kind, samples)


def _added(families: Iterable[Family]) -> list[Family]:
    """One family of each name, one sample of each name and labels."""
    found: dict[str, Family] = {}
    values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for family in families:
        found.setdefault(family.name, family)
        sums = values.setdefault(family.name, {})
        for name, labels, value in family.samples:
            key = (name, tuple(labels.items()))
            if family.kind in _ONE:
                sums[key] = value
            else:
                sums[key] = sums.get(key, 0.0) + value
    return [
        Family(
            name,
            family.help,
            family.kind,
            [(sample, dict(labels), value) for (sample, labels), value in values[name].items()],
        )
        for name, family in found.items()
    ]
