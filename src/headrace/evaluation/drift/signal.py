"""Two windows of one figure, compared: how far apart they are, and whether chance explains it.

A signal has drifted when both say so. With much traffic the least difference is significant, with
little traffic a large one may be chance. The effect is the population stability index (PSI); the p
of categories is that of a permutation of the labels, of numbers the asymptotic Kolmogorov-Smirnov
one. All p-values of one look are adjusted together (Holm, 1979).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["LEAST", "Signal", "by_category", "by_meaning", "by_number", "judged"]

LEVEL = 0.01
"""An adjusted p above it is chance."""
EFFECT = 0.2
"""A PSI below it is no matter: from 0.1 to 0.2 counts as a small shift, above as a large one."""
LEAST = 30
"""Fewer turns in a window than this say nothing."""
_PERMUTATIONS = 20_000
"""So that a p of 0.01 can be reached among two hundred figures."""
_BINS = 10
_MOST_CATEGORIES = 40
_TERMS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One figure in both windows."""

    name: str
    kind: str
    """`category`, `number` or `meaning`."""
    effect: float
    """PSI; of meaning the share of the spread between the windows."""
    p_value: float
    """Adjusted, once `judged`."""
    before: str
    """The reference, in words."""
    now: str
    has_drifted: bool = False


def by_category(
    name: str, before: Sequence[str], now: Sequence[str], *, seed: int = 0
) -> Signal | None:
    """Shares of values; None where a window is too small."""
    import numpy as np  # heavy

    if min(len(before), len(now)) < LEAST:
        return None
    values = _named([*before, *now])
    old, new = _counted(before, values), _counted(now, values)
    both = old + new
    seen = _chi_square(old[None, :], both, len(before))[0]
    random = np.random.default_rng(seed)
    drawn = random.multivariate_hypergeometric(both, len(before), size=_PERMUTATIONS)
    extreme = int((_chi_square(drawn, both, len(before)) >= seen * (1 - 1e-9)).sum())
    return Signal(
        name=name,
        kind="category",
        effect=_psi(old, new),
        p_value=(extreme + 1) / (_PERMUTATIONS + 1),
        before=_shares(old, values),
        now=_shares(new, values),
    )


def by_number(name: str, before: Sequence[float], now: Sequence[float]) -> Signal | None:
    """Distributions of a number; None where a window is too small."""
    import numpy as np  # heavy

    if min(len(before), len(now)) < LEAST:
        return None
    old, new = np.sort(np.asarray(before, float)), np.sort(np.asarray(now, float))
    points = np.concatenate((old, new))
    apart = abs(
        np.searchsorted(old, points, "right") / len(old)
        - np.searchsorted(new, points, "right") / len(new)
    )
    edges = np.unique(np.quantile(old, np.linspace(0, 1, _BINS + 1)[1:-1]))
    effect = _psi(
        np.bincount(np.searchsorted(edges, old), minlength=len(edges) + 1),
        np.bincount(np.searchsorted(edges, new), minlength=len(edges) + 1),
    )
    return Signal(
        name=name,
        kind="number",
        effect=effect,
        p_value=_kolmogorov(float(apart.max()), len(old), len(new)),
        before=f"median {np.median(old):.4g}",
        now=f"median {np.median(new):.4g}",
    )


def by_meaning(
    name: str,
    before: "NDArray[np.float32]",
    now: "NDArray[np.float32]",
    *,
    seed: int = 0,
    permutations: int = 2_000,
) -> Signal | None:
    """Texts, as unit vectors a row: their energy distance (Székely & Rizzo, 2013), and how often
    shuffled texts are as far apart. None where a window is too small.
    """
    import numpy as np  # heavy

    if min(len(before), len(now)) < LEAST:
        return None
    joined = np.concatenate((before, now)).astype(np.float64)
    far = np.sqrt(np.maximum(0.0, 2 - 2 * (joined @ joined.T)))
    labels = np.zeros(len(joined), bool)
    labels[: len(before)] = True
    seen = _energy(far, labels)
    random = np.random.default_rng(seed)
    extreme = sum(_energy(far, random.permutation(labels)) >= seen for _ in range(permutations))
    between = float(far[labels][:, ~labels].mean())
    return Signal(
        name=name,
        kind="meaning",
        effect=max(0.0, seen / (2 * between)) if between else 0.0,
        p_value=(extreme + 1) / (permutations + 1),
        before=f"{len(before)} texts",
        now=f"{len(now)} texts",
    )


def judged(found: Sequence[Signal], effects: Mapping[str, float] | None = None) -> list[Signal]:
    """The signals with adjusted p-values, each told whether it drifted; the furthest first.

    Args:
        effects: least effect by kind, where it is not that of PSI.
    """
    least = {"meaning": 0.02, **(effects or {})}
    ranked = sorted(found, key=lambda each: each.p_value)
    adjusted: list[Signal] = []
    floor = 0.0
    for rank, each in enumerate(ranked):
        floor = max(floor, min(1.0, each.p_value * (len(ranked) - rank)))
        drifted = floor <= LEVEL and each.effect >= least.get(each.kind, EFFECT)
        adjusted.append(replace(each, p_value=floor, has_drifted=drifted))
    return sorted(adjusted, key=lambda each: (not each.has_drifted, -each.effect, each.name))


def _named(values: Sequence[str]) -> list[str]:
    """The commonest values; the others are one."""
    counts: dict[str, int] = {}
    for each in values:
        counts[each] = counts.get(each, 0) + 1
    ranked = sorted(counts, key=lambda each: (-counts[each], each))
    return [*ranked[:_MOST_CATEGORIES], *(["…"] if len(ranked) > _MOST_CATEGORIES else [])]


def _counted(values: Sequence[str], names: Sequence[str]) -> "NDArray[np.int64]":
    import numpy as np  # heavy

    place = {name: at for at, name in enumerate(names)}
    other = len(names) - 1
    return np.bincount([place.get(each, other) for each in values], minlength=len(names))


def _chi_square(
    drawn: "NDArray[np.int64]", both: "NDArray[np.int64]", count: int
) -> "NDArray[np.float64]":
    """Of each row of counts of the first window, given those of both together."""
    total = both.sum()
    expected = both * (count / total)
    rest = both - expected
    first = ((drawn - expected) ** 2 / expected).sum(1)
    second = ((both - drawn - rest) ** 2 / rest).sum(1)
    return first + second  # type: ignore[no-any-return]  # NumPy's sums are untyped


def _psi(old: "NDArray[np.int64]", new: "NDArray[np.int64]") -> float:
    """With half a count more everywhere, so that what is new or gone has a finite effect."""
    import numpy as np  # heavy

    was = (old + 0.5) / (old.sum() + 0.5 * len(old))
    now = (new + 0.5) / (new.sum() + 0.5 * len(new))
    return float(((now - was) * np.log(now / was)).sum())


def _kolmogorov(apart: float, one: int, two: int) -> float:
    """P of so large a distance by chance (with Stephens' correction for small windows)."""
    size = math.sqrt(one * two / (one + two))
    reach = (size + 0.12 + 0.11 / size) * apart
    if reach < 0.3:
        return 1.0
    tail = math.fsum((-1) ** (k - 1) * math.exp(-2 * (k * reach) ** 2) for k in range(1, _TERMS))
    return min(1.0, max(0.0, 2 * tail))


def _energy(far: "NDArray[np.float64]", labels: "NDArray[np.bool_]") -> float:
    one, two = far[labels], far[~labels]
    a, b = int(labels.sum()), int((~labels).sum())
    within_one = one[:, labels].sum() / (a * (a - 1))
    within_two = two[:, ~labels].sum() / (b * (b - 1))
    return float(2 * one[:, ~labels].mean() - within_one - within_two)


def _shares(counts: "NDArray[np.int64]", names: Sequence[str]) -> str:
    total = counts.sum()
    ranked = sorted(zip(counts.tolist(), names, strict=True), reverse=True)[:3]
    return ", ".join(f"{name or 'none'} {count / total:.0%}" for count, name in ranked if count)
