"""Fit and measure the groundedness model on the labelled set.

To the labelled pairs come strangers: what is true of other passages of the same part and language is
no support here. They stand for what a model makes up out of nothing, and are reported apart.

    .venv/bin/python tools/fit_groundedness.py                              # words alone
    .venv/bin/python tools/fit_groundedness.py --home .cache/headrace      # and the built-in embedder

Fits on the groups marked `train` by Newton's method with a small ridge, reports on the groups
marked `held-out`, whose passages the fit never saw, and writes weights.json.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from headrace.models.embedder import open_embedder
from headrace.screening.groundedness.feature import NAMES, features, read
from headrace.screening.groundedness.support import NO_EMBEDDER, SIMILARITY, Weights, load_weights
from headrace.types import Embedder

__all__ = ["Group", "Pair", "auc", "fit", "pairs_of", "report"]

ROOT = Path(__file__).parent.parent
LABELLED = ROOT / "tests" / "screening" / "groundedness.jsonl"
WEIGHTS = ROOT / "src" / "headrace" / "screening" / "groundedness" / "weights.json"
RIDGE = 0.3
"""Keeps weights finite where a figure parts the labels by itself."""
STRANGERS = 3
"""For each passage."""
_Rows = NDArray[np.float64]


class Group(msgspec.Struct):
    """A passage with what it says and what it does not."""

    language: Literal["en", "zh"]
    split: Literal["train", "held-out"]
    passage: str
    supported: list[str]
    unsupported: list[str]


class Pair(msgspec.Struct):
    """One labelled pair."""

    claim: str
    passage: str
    label: bool
    language: str
    split: str
    is_stranger: bool = False


def pairs_of(path: Path) -> list[Pair]:
    """The labelled set."""
    groups = list(map(msgspec.json.Decoder(Group).decode, path.read_bytes().splitlines()))
    pairs = [
        Pair(claim, group.passage, label, group.language, group.split)
        for group in groups
        for label, claims in ((True, group.supported), (False, group.unsupported))
        for claim in claims
    ]
    for group in groups:
        others = [g for g in groups if (g.language, g.split) == (group.language, group.split)]
        at = others.index(group)
        for step in range(1, min(STRANGERS, len(others) - 1) + 1):
            claim = others[(at + step) % len(others)].supported[0]
            pairs.append(
                Pair(claim, group.passage, False, group.language, group.split, is_stranger=True)
            )
    return pairs


def rows_of(pairs: Sequence[Pair], similarities: Sequence[float] | None) -> _Rows:
    """(pairs, figures + bias)"""
    rows = [[*features(read(p.claim), read(p.passage))] for p in pairs]
    if similarities is not None:
        rows = [[*row, near] for row, near in zip(rows, similarities, strict=True)]
    return np.array([[*row, 1.0] for row in rows])


def fit(rows: _Rows, labels: _Rows) -> _Rows:
    """Weights by Newton's method; the bias, which is last, is not held back."""
    weights = np.zeros(rows.shape[1])
    ridge = np.full(rows.shape[1], RIDGE)
    ridge[-1] = 0.0
    for _ in range(50):
        said = 1 / (1 + np.exp(-rows @ weights))
        slope = rows.T @ (said - labels) + ridge * weights
        bend = (rows * (said * (1 - said))[:, None]).T @ rows + np.diag(ridge)
        step = np.linalg.solve(bend, slope)
        weights -= step
        if np.abs(step).max() < 1e-9:
            break
    return weights


def auc(scores: _Rows, labels: _Rows) -> float:
    """The chance that a supported pair scores above an unsupported one."""
    good, bad = scores[labels == 1], scores[labels == 0]
    wins = (good[:, None] > bad[None, :]).sum() + 0.5 * (good[:, None] == bad[None, :]).sum()
    return float(wins / (len(good) * len(bad)))


def report(name: str, scores: _Rows, labels: _Rows, threshold: float = 0.5) -> str:
    """Unsupported is what is looked for, so precision and recall are of that."""
    found, wrong = scores < threshold, labels == 0
    hits = int((found & wrong).sum())
    precision, recall = hits / max(1, int(found.sum())), hits / max(1, int(wrong.sum()))
    return (
        f"{name:24} pairs {len(labels):4}  precision {precision:.2f}  recall {recall:.2f}  "
        f"AUC {auc(scores, labels):.3f}"
    )


async def similarities_of(pairs: Sequence[Pair], embedder: Embedder) -> list[float]:
    claims = await embedder.embed([pair.claim for pair in pairs])
    passages = await embedder.embed([pair.passage for pair in pairs])
    return [float(a @ b) for a, b in zip(claims, passages, strict=True)]


async def measured(pairs: Sequence[Pair], home: Path) -> tuple[str, list[float]]:
    """The embedder's id, and the similarity of each pair."""
    async with open_embedder(Path("/nonexistent"), home, os.environ) as embedder:
        return embedder.id, await similarities_of(pairs, embedder)


def fitted(name: str, pairs: Sequence[Pair], similarities: Sequence[float] | None) -> Weights:
    """Fit on one part, print how it does on the other."""
    rows = rows_of(pairs, similarities)
    labels = np.array([float(pair.label) for pair in pairs])
    train = np.array([pair.split == "train" for pair in pairs])
    weights = fit(rows[train], labels[train])
    scores = 1 / (1 + np.exp(-rows @ weights))
    own = np.array([not pair.is_stranger for pair in pairs])
    english = np.array([pair.language == "en" for pair in pairs])
    parts = {
        f"{name}, train": train,
        f"{name}, held out": ~train,
        "  without strangers": ~train & own,
        "  of those, en": ~train & own & english,
        "  of those, zh": ~train & own & ~english,
    }
    for part, chosen in parts.items():
        sys.stdout.write(report(part, scores[chosen], labels[chosen]) + "\n")
    names = [*NAMES, *([SIMILARITY] if similarities is not None else [])]
    by_name = {each: round(float(w), 4) for each, w in zip(names, weights, strict=False)}
    return Weights(bias=round(float(weights[-1]), 4), weights=by_name)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, help="folder whose models/ holds the embedding model")
    home: Path | None = parser.parse_args().home
    pairs = pairs_of(LABELLED)
    known = dict(load_weights()) if WEIGHTS.exists() else {}
    known[NO_EMBEDDER] = fitted("words", pairs, None)
    if home is not None:
        name, similarities = asyncio.run(measured(pairs, home.resolve()))
        known[name] = fitted("with similarity", pairs, similarities)
    data = msgspec.json.format(msgspec.json.encode(known, order="sorted"), indent=2)
    WEIGHTS.write_bytes(data + b"\n")


if __name__ == "__main__":
    main()
