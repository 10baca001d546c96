"""Counters and histograms that cost next to nothing to add to.

Those of prometheus_client take a lock for every figure and walk the buckets one by one: a turn adds
to a dozen of them. Here one thread adds, that of the event loop, and any may read; a figure read
while its neighbour is being added to is one turn older. They become Prometheus' form when it asks.
"""

from bisect import bisect_left
from collections.abc import Sequence

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.utils import floatToGoString

__all__ = ["Counts", "Tallies", "Tally"]


class Tally:
    """The observations of one series, by bucket."""

    __slots__ = ("_bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        """
        Args:
            bounds: upper ends of the buckets, each part of its own; one without end follows.
        """
        self._bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float) -> None:
        self.counts[bisect_left(self._bounds, value)] += 1
        self.total += value


class Tallies:
    """A histogram: one tally for each combination of labels."""

    def __init__(
        self, name: str, about: str, labels: Sequence[str], bounds: Sequence[float]
    ) -> None:
        self._name = name
        self._about = about
        self._labels = labels
        self._bounds = bounds
        self._ends = [_end(each) for each in bounds] + ["+Inf"]
        self._by_labels: dict[tuple[str, ...], Tally] = {}

    def labelled(self, *labels: str) -> Tally:
        """The series with these labels, from the first call on."""
        found = self._by_labels.get(labels)
        if found is None:
            found = self._by_labels[labels] = Tally(self._bounds)
        return found

    def family(self) -> HistogramMetricFamily:
        family = HistogramMetricFamily(self._name, self._about, labels=self._labels)
        for labels, tally in list(self._by_labels.items()):
            upto = 0.0
            buckets: list[tuple[str, float]] = []
            for end, count in zip(self._ends, list(tally.counts), strict=True):
                upto += count
                buckets.append((end, upto))
            family.add_metric(labels, buckets, tally.total)
        return family


class Counts:
    """A counter: one figure for each combination of labels."""

    def __init__(self, name: str, about: str, labels: Sequence[str]) -> None:
        self._name = name
        self._about = about
        self._labels = labels
        self._by_labels: dict[tuple[str, ...], float] = {}

    def add(self, labels: tuple[str, ...], amount: float = 1.0) -> None:
        counts = self._by_labels
        counts[labels] = counts.get(labels, 0.0) + amount

    def family(self) -> CounterMetricFamily:
        family = CounterMetricFamily(self._name, self._about, labels=self._labels)
        for labels, amount in list(self._by_labels.items()):
            family.add_metric(labels, amount)
        return family


def _end(bound: float) -> str:
    """A bucket's end as Prometheus writes numbers."""
    return str(floatToGoString(bound))  # type: ignore[no-untyped-call]  # the library leaves it untyped
