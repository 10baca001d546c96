"""How far passages support a claim: a logistic model over a few figures.

Its weights are fitted by `tools/fit_groundedness.py` on labelled pairs and kept in weights.json,
one set for words alone and one for each embedding model that was measured: cosines of different
models mean different things.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

import msgspec

from headrace.screening.groundedness.feature import NAMES, features, read

__all__ = ["NO_EMBEDDER", "SupportModel", "Verdict", "Weights", "load_weights"]

NO_EMBEDDER = "words"
SIMILARITY = "similarity"


class Weights(msgspec.Struct, frozen=True, kw_only=True):
    """One fitted model."""

    bias: float
    weights: dict[str, float]
    """By the figure's name."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far a claim is supported, and by which source."""

    score: float
    source: int | None
    """Index of the source that supports it best; None: there are none."""


class SupportModel:
    """Scores claims against texts."""

    def __init__(self, weights: Weights) -> None:
        self._bias = weights.bias
        self._weights = [weights.weights[name] for name in NAMES]
        self._similarity = weights.weights.get(SIMILARITY, 0.0)

    @classmethod
    def load(cls, embedder_id: str | None) -> "SupportModel":
        """The model for similarities of that embedding model, else the one for words alone."""
        known = load_weights()
        return cls(known.get(embedder_id or NO_EMBEDDER, known[NO_EMBEDDER]))

    @property
    def uses_similarity(self) -> bool:
        return self._similarity != 0.0

    def score(self, claim: str, source: str, similarity: float = 0.0) -> float:
        """The probability that `source` says what `claim` says."""
        figures = features(read(claim), read(source))
        total = self._bias + self._similarity * similarity
        total += sum(w * f for w, f in zip(self._weights, figures, strict=True))
        return 1 / (1 + math.exp(-total))

    def verdict(
        self, claim: str, sources: Sequence[str], similarities: Sequence[float] | None = None
    ) -> Verdict:
        """The best support among the sources."""
        best, at = 0.0, None
        for index, source in enumerate(sources):
            near = similarities[index] if similarities is not None else 0.0
            score = self.score(claim, source, near)
            if at is None or score > best:
                best, at = score, index
        return Verdict(best, at)


def load_weights() -> Mapping[str, Weights]:
    """All fitted models, by the embedding model's id."""
    data = files("headrace.screening.groundedness").joinpath("weights.json").read_bytes()
    return msgspec.json.decode(data, type=dict[str, Weights])
