"""How sure a mean is, and whether a candidate differs from its baseline on the same cases.

Everything is seeded, so that one run's numbers give one report. Cases are taken as independent:
repeats of a case are to be averaged first. Nothing here corrects for many comparisons.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Difference", "Estimate", "cohen_kappa", "detectable", "estimate", "mcnemar", "paired"]

_RESAMPLES = 2000
_ALL_SIGNS = 12
_DRAWN_SIGNS = 10_000
_BLOCK = 1_000_000
"""Numbers drawn at a time: 8 MB, whatever the number of cases."""

_Z = 1.959964
_REACH = _Z + 0.841621
"""Standard errors between no effect and one found 4 times in 5 at a level of 5 %."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean and the interval that holds the true one 95 times in 100."""

    mean: float
    low: float
    high: float
    count: int


@dataclass(frozen=True, slots=True)
class Difference:
    """Candidate minus baseline over the cases of both."""

    estimate: Estimate
    p_value: float
    """Two-sided."""
    detectable: float
    """The least true difference that so many cases find 4 times in 5."""


def estimate(scores: Sequence[float], *, seed: int = 0) -> Estimate:
    """The mean of one score a case, with its interval: Wilson's (1927) where all are 0 or 1, for
    three right of three are no proof of all; else the percentile bootstrap.

    Raises:
        ValueError: no scores, or one that is not finite.
    """
    if scores and all(score in (0.0, 1.0) for score in scores):
        return _wilson(sum(scores) / len(scores), len(scores))
    values, means = _resampled(scores, seed)
    return _estimate(values, means)


def paired(baseline: Sequence[float], candidate: Sequence[float], *, seed: int = 0) -> Difference:
    """The difference of two runs over the same cases, in the same order.

    Scores that are all 0 or 1 are tested with McNemar's exact test, others by flipping the signs
    of the differences (Fisher's randomisation test).

    Raises:
        ValueError: not equally many, none, or one that is not finite.
    """
    pairs = list(zip(baseline, candidate, strict=True))
    differences = [after - before for before, after in pairs]
    values, means = _resampled(differences, seed)
    if all(score in (0.0, 1.0) for pair in pairs for score in pair):
        p_value = mcnemar(differences.count(-1.0), differences.count(1.0))
    else:
        p_value = _by_signs(values, seed)
    return Difference(_estimate(values, means), p_value, detectable(differences))


def mcnemar(lost: int, won: int) -> float:
    """The two-sided exact p of so many cases lost and won, if either were as likely."""
    count = lost + won
    tail = sum(math.comb(count, at) for at in range(min(lost, won) + 1))
    # Whole numbers: 2 to the power of some thousands is no float.
    return min(1.0, 2 * tail / (1 << count))


def cohen_kappa(one: Sequence[bool], two: Sequence[bool]) -> float | None:
    """Agreement of two raters beyond chance (Cohen 1960): 1 all, 0 no more than chance.

    None when chance alone would agree always: each of them says the same of everything.
    """
    pairs = list(zip(one, two, strict=True))
    if not pairs:
        return None
    seen = sum(left == right for left, right in pairs) / len(pairs)
    yes = (sum(one) / len(pairs)) * (sum(two) / len(pairs))
    no = (1 - sum(one) / len(pairs)) * (1 - sum(two) / len(pairs))
    return None if yes + no == 1 else (seen - yes - no) / (1 - yes - no)


def detectable(differences: Sequence[float]) -> float:
    """The least true mean difference found with power 0.8 at 5 %; infinite for one case."""
    count = len(differences)
    if count < 2:
        return math.inf
    mean = math.fsum(differences) / count
    variance = math.fsum((each - mean) ** 2 for each in differences) / (count - 1)
    return _REACH * math.sqrt(variance / count)


def _resampled(
    scores: Sequence[float], seed: int
) -> "tuple[NDArray[np.float64], NDArray[np.float64]]":
    import numpy as np  # heavy

    values = np.asarray(scores, dtype=np.float64)
    if not len(values) or not np.isfinite(values).all():
        raise ValueError("scores must be finite, and at least one")
    random = np.random.default_rng(seed)
    rows = max(1, _BLOCK // len(values))
    means = [
        values[random.integers(0, len(values), (min(rows, _RESAMPLES - at), len(values)))].mean(1)
        for at in range(0, _RESAMPLES, rows)
    ]
    return values, np.concatenate(means)


def _wilson(mean: float, count: int) -> Estimate:
    square = _Z**2 / count
    centre = (mean + square / 2) / (1 + square)
    reach = _Z * math.sqrt(mean * (1 - mean) / count + square / (4 * count)) / (1 + square)
    return Estimate(mean, max(0.0, centre - reach), min(1.0, centre + reach), count)


def _by_signs(values: "NDArray[np.float64]", seed: int) -> float:
    """How often chance signs make as large a sum: all of them for few cases, else 10,000 drawn."""
    import numpy as np  # heavy

    moved = values[values != 0]
    # Rounding must not make a difference of nothing but equal values significant.
    least = abs(moved.sum()) - 1e-9 * max(1.0, float(abs(moved).sum()))
    if len(moved) <= _ALL_SIGNS:
        signs = (np.arange(1 << len(moved))[:, None] >> np.arange(len(moved))) & 1
        return float((abs((2 * signs - 1) @ moved) >= least).mean())
    random = np.random.default_rng(seed)
    rows = max(1, _BLOCK // len(moved))
    extreme = 0
    for at in range(0, _DRAWN_SIGNS, rows):
        drawn = random.integers(0, 2, (min(rows, _DRAWN_SIGNS - at), len(moved)))
        extreme += int((abs((2 * drawn - 1) @ moved) >= least).sum())
    # One more on both sides: a p of 0 would claim more than the draws can tell.
    return (extreme + 1) / (_DRAWN_SIGNS + 1)


def _estimate(values: "NDArray[np.float64]", means: "NDArray[np.float64]") -> Estimate:
    import numpy as np  # heavy

    low, high = np.quantile(means, (0.025, 0.975))
    return Estimate(float(values.mean()), float(low), float(high), len(values))
