"""The classifier: logistic models over hashed features, one for each of `HEADS`.

Weights are whole numbers, and so are their sums: however a text is cut, a sentence's score is the
same to the last bit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files

import msgspec
import numpy as np
from numpy.typing import NDArray

from headrace.screening.content.feature import BUCKETS, features
from headrace.screening.content.kind import HEADS
from headrace.screening.content.unit import Units, units
from headrace.screening.detectors.term import fold

__all__ = ["FEW", "ContentClassifier", "Judged", "Scale", "judge"]

FEW = 30
"""Added to a sentence's count of features, so that two words alone convince nobody."""

_HAN_SHARE = 3
"""A sentence is Chinese when one in so many characters is Han."""
_REACH = 56
"""How far behind a context its first features may begin: two words and what parts them."""


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """How the sums of one head become scores."""

    bias: float
    slope: float


class Meta(msgspec.Struct, frozen=True, kw_only=True):
    """What `weights.json` says about `weights.bin`."""

    version: str
    """SHA-256 over the weights, as `sha256:…`."""
    heads: list[str]
    scales: list[Scale]
    """For sentences in alphabets."""
    han_scales: list[Scale]
    """For Chinese ones: they have fewer features each, and the data less of them."""


@dataclass(frozen=True, slots=True)
class Judged:
    """The units of a text with their scores."""

    units: Units
    scores: NDArray[np.float64]
    """(units, heads)"""
    highest: tuple[float, ...]
    """By head."""
    folded: str
    """The text as signs are looked for in it, from `offset` on."""
    offset: int


class ContentClassifier:
    """Scores every sentence of a text, between 0 and 1, for each head."""

    def __init__(
        self,
        weights: NDArray[np.int8],
        scales: Sequence[Scale],
        han_scales: Sequence[Scale],
        version: str = "",
    ) -> None:
        """`weights`: (buckets, heads)."""
        self._weights = weights
        both = (scales, han_scales)
        self._bias = np.array([[scale.bias for scale in each] for each in both])
        self._slope = np.array([[scale.slope for scale in each] for each in both])
        self.version = version

    @classmethod
    @cache
    def load(cls) -> "ContentClassifier":
        """The one that comes with the package."""
        folder = files("headrace.screening.content")
        meta = msgspec.json.decode(folder.joinpath("weights.json").read_bytes(), type=Meta)
        if tuple(meta.heads) != HEADS:
            raise ValueError("weights.json is of other heads; run tools/train_content.py")
        raw = np.frombuffer(folder.joinpath("weights.bin").read_bytes(), dtype=np.int8)
        return cls(raw.reshape(BUCKETS, len(HEADS)), meta.scales, meta.han_scales, meta.version)

    def judge(self, text: str, start: int = 0) -> Judged:
        """The units that begin at `start` or later, with their scores."""
        found = units(text, start)
        if not len(found.starts):
            none = np.empty((0, self._weights.shape[1]))
            return Judged(found, none, (0.0,) * none.shape[1], "", 0)
        offset = max(0, int(found.contexts[0]) - _REACH)
        folded = fold(text[offset:])
        seen = features(folded)
        at = np.searchsorted(seen.ends, np.arange(len(text) - offset + 2), side="left")
        sums = np.zeros((len(seen.ends) + 1, self._weights.shape[1]), dtype=np.int32)
        np.cumsum(self._weights[seen.buckets], axis=0, dtype=np.int32, out=sums[1:])
        ends = at[found.ends - offset + 1]
        written = np.concatenate(([0], np.cumsum(seen.han, dtype=np.int64)))

        begins = found.contexts - offset
        # A feature that ends behind the first character belongs: it may begin a little before.
        first = at[begins + 1]
        total = sums[ends] - sums[first]
        han = written[found.ends - offset] - written[begins]
        script = (han * _HAN_SHARE >= found.ends - found.contexts).astype(np.int64)
        logits = (
            total / np.sqrt(ends - first + FEW)[:, None] * self._slope[script] + self._bias[script]
        )
        scores = 1.0 / (1.0 + np.exp(-np.clip(logits, -40, 40)))
        return Judged(found, scores, tuple(scores.max(axis=0).tolist()), folded, offset)


@lru_cache(maxsize=1)
def judge(text: str, start: int = 0) -> Judged:
    """As the package's classifier judges. Kept for the next detector of the same text."""
    return ContentClassifier.load().judge(text, start)
