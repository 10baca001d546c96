"""Figures of a dataset that can be published: with differential privacy for each of its people.

Two datasets of which one has all rows of one person more give any figures with nearly the same
chance (ε, δ). A person counts with a bounded number of rows, and lengths up to a bound, so that the
noise is known; the noise is OpenDP's, exact in its bits, and so is the accounting. The names of a
histogram are themselves private: those of few rows are left out (δ is the chance that one is not).

Not covered: the version itself, which rows it has and when it was made; nothing of these figures
may be published beside exact ones of the same people.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from importlib import metadata
from typing import cast

import msgspec

from headrace.datasets.errors import DatasetInvalid
from headrace.datasets.example import Example
from headrace.datasets.person import people_by, person_of, value_of
from headrace.datasets.version import Version
from headrace.privacy.budget import Budget, Ledger
from headrace.privacy.errors import PrivacyUnavailable

__all__ = ["Aggregates", "Asked", "Figure", "Noise", "Sums", "publish", "sums_of"]

LANGUAGE = "language"
"""The field that is found in the texts where rows do not have it."""
_MOST_ROWS = 1 << 40
_SURE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is to be published, and at which price."""

    epsilon: float
    delta: float = 0.0
    """Shared by the histograms; 0 without any."""
    by: Sequence[str] = ()
    """Fields of the metadata to count rows by."""
    rows_each: int = 5
    """Rows that a person counts with, at most; the first ones."""
    longest: int = 1000
    """Characters that a text counts with, at most."""
    person: str = ""
    """The field that tells people apart, where rows have no subject."""

    def check(self) -> None:
        """
        Raises:
            DatasetInvalid: histograms need a δ, and nothing else does.
        """
        if bool(self.by) != bool(self.delta):
            raise DatasetInvalid(
                "a histogram needs δ: which names it has is private too"
                if self.by
                else "δ is for histograms alone, and none is asked for",
                hint="--by language --delta 1e-7",
            )


@dataclass(slots=True)
class Sums:
    """The exact figures: never shown."""

    people: int = 0
    rows: int = 0
    asked: int = 0
    learned: int = 0
    by: dict[str, Counter[str]] = field(default_factory=dict)
    people_by: str = ""


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """One published number."""

    value: float
    off_by: float
    """It is at most so far off, by 95 chances in a hundred, from what bounded rows come to."""


class Aggregates(msgspec.Struct, frozen=True, kw_only=True):
    """What was published."""

    dataset: str
    digest: str
    epsilon: float
    delta: float
    people: Figure
    rows: Figure
    mean_asked: Figure
    """Characters of what is asked, a row; of two noisy sums."""
    mean_learned: Figure
    by: dict[str, dict[str, Figure]]
    rows_each: int
    longest: int
    people_by: str
    made_by: str


def sums_of(rows: Iterable[Example], asked: Asked, language: Callable[[str], str | None]) -> Sums:
    """The exact figures, of so many rows of each person."""
    sums = Sums(by={name: Counter() for name in asked.by})
    used: Counter[str] = Counter()
    for at, row in enumerate(rows):
        person = person_of(row, at, asked.person)
        used[person] += 1
        if used[person] > asked.rows_each:
            continue
        answers = row.chosen if row.kind == "preference" else row.messages[-1:]
        before = row.messages if row.kind == "preference" else row.messages[:-1]
        sums.rows += 1
        sums.asked += min(sum(len(each.text()) for each in before), asked.longest)
        sums.learned += min(sum(len(each.text()) for each in answers), asked.longest)
        for name, counted in sums.by.items():
            value = value_of(row, name, at)
            if value is None and name == LANGUAGE:
                value = language(row.text())
            counted["unknown" if value is None else str(value)] += 1
    sums.people = len(used)
    sums.people_by = people_by(used, asked.person)
    return sums


@dataclass(frozen=True, slots=True)
class _Priced:
    """A measurement, and what it costs by OpenDP's account."""

    measurement: Callable[[object], object]
    epsilon: float
    delta: float
    scale: float
    off_by: float


class Noise:
    """The measurements that publish what is asked, made before any figure is looked at."""

    def __init__(self, asked: Asked) -> None:
        """
        Raises:
            PrivacyUnavailable: the extra `privacy` is not installed.
            DatasetInvalid: as `Asked.check`.
        """
        asked.check()
        try:
            import opendp.prelude as dp
        except ModuleNotFoundError as error:
            raise PrivacyUnavailable.lacking(error.name or "opendp") from error
        dp.enable_features("contrib")
        self._dp = dp
        # The same price for each: people, rows, two lengths, and each histogram.
        self._each = asked.epsilon / (4 + len(asked.by))
        most = asked.rows_each
        self._people, self._rows = self._count(1), self._count(most)
        self._length = self._count(most * asked.longest)
        self._histogram = self._names(most, asked.delta / len(asked.by)) if asked.by else None
        histograms = [self._histogram] * len(asked.by)
        made = (self._people, self._rows, self._length, self._length, *histograms)
        self.epsilon = sum(each.epsilon for each in made if each is not None)
        """By OpenDP's account; δ likewise."""
        self.delta = sum(each.delta for each in made if each is not None)

    def _count(self, most: int) -> "_Priced":
        """Of a whole number that one person changes by so much at most."""
        dp = self._dp
        space = dp.atom_domain(T="i64"), dp.absolute_distance(T="i64")
        scale: float = dp.binary_search_param(
            lambda scale: dp.m.make_laplace(*space, scale), d_in=most, d_out=self._each
        )
        made = dp.m.make_laplace(*space, scale)
        return _Priced(made, made.map(most), 0.0, scale, self._off_by(scale))

    def _names(self, most: int, delta: float) -> "_Priced":
        """Of a histogram whose names are private: those of fewer rows than a threshold are left out."""
        dp = self._dp
        space = (
            dp.map_domain(dp.atom_domain(T=str), dp.atom_domain(T="i64")),
            dp.l01inf_distance(dp.absolute_distance(T="i64")),
        )
        change = (most, most, most)  # names, rows, and rows of one name
        scale = self._rows.scale

        def price(threshold: int) -> tuple[float, float]:
            made = dp.m.make_laplace_threshold(*space, scale, threshold)
            return cast("tuple[float, float]", made.map(change))

        thresholds = range(most, _MOST_ROWS)
        at = bisect_left(thresholds, True, key=lambda threshold: price(threshold)[1] <= delta)
        made = dp.m.make_laplace_threshold(*space, scale, thresholds[at])
        return _Priced(made, *price(thresholds[at]), scale, self._off_by(scale))

    def _off_by(self, scale: float) -> float:
        return float(self._dp.discrete_laplacian_scale_to_accuracy(scale, 1 - _SURE))

    def publish(self, sums: Sums, asked: Asked, dataset: str, digest: str) -> Aggregates:
        """The figures with noise. Each call spends what `epsilon` and `delta` say, again."""
        rows = _figure(self._rows, sums.rows)
        by: dict[str, dict[str, Figure]] = {}
        for name, counted in sums.by.items():
            assert self._histogram is not None
            told = cast("dict[str, int]", self._histogram.measurement(dict(counted)))
            by[name] = {
                each: Figure(value=float(value), off_by=self._histogram.off_by)
                for each, value in sorted(told.items(), key=lambda item: (-item[1], item[0]))
            }
        return Aggregates(
            dataset=dataset,
            digest=digest,
            epsilon=self.epsilon,
            delta=self.delta,
            people=_figure(self._people, sums.people),
            rows=rows,
            mean_asked=self._mean(sums.asked, rows, asked),
            mean_learned=self._mean(sums.learned, rows, asked),
            by=by,
            rows_each=asked.rows_each,
            longest=asked.longest,
            people_by=sums.people_by,
            made_by=f"opendp {metadata.version('opendp')}",
        )

    def _mean(self, total: int, rows: Figure, asked: Asked) -> Figure:
        noisy = _figure(self._length, total)
        count = max(rows.value, 1.0)
        mean = min(noisy.value / count, float(asked.longest))
        return Figure(value=mean, off_by=(noisy.off_by + mean * rows.off_by) / count)


def _figure(priced: _Priced, value: int) -> Figure:
    told = float(cast("int", priced.measurement(value)))
    return Figure(value=max(told, 0.0), off_by=priced.off_by)


def publish(
    version: Version,
    rows: Iterable[Example],
    ledger: Ledger,
    asked: Asked,
    budget: Budget,
    language: Callable[[str], str | None],
) -> Aggregates:
    """Publish figures of a version, and write down what it costs before there are any.

    Args:
        rows: the version's.
        ledger: the version's (`DatasetStore.ledger`).
        language: of a text, where it can be told.

    Raises:
        BudgetSpent: it costs more than is left; nothing is published or spent.
        PrivacyUnavailable, DatasetInvalid: as `Noise`.
    """
    noise = Noise(asked)
    sums = sums_of(rows, asked, language)
    what = ", ".join(("people", "rows", "lengths", *(f"rows by {each}" for each in asked.by)))
    ledger.charge(noise.epsilon, noise.delta, f"{version.reference}: {what}", budget)
    return noise.publish(sums, asked, version.reference, version.digest)
