"""Which template a message asks for: a linear model over its vector and its letters.

Regularised least squares, one template against the rest. It is fitted when a service loads, in some
tens of milliseconds, so that a service's own templates take part. The fit also tells what it would
have said of each question without having seen it; the softmax is made as sharp as fits those.
What it does not do: tell that a message asks for two things, or for none of them.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from headrace.prompts.choice.gram import BUCKETS, buckets

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Classifier", "Ranked"]

_RIDGE = 1.0
"""Chosen by the questions that the fit left out, not by the held-out ones."""
_SHARPEST = 40.0


@dataclass(frozen=True, slots=True)
class Ranked:
    """The most likely template and the one after it."""

    name: str
    confidence: float
    """Its share of the probability, between 0 and 1."""
    runner_up: str
    """Empty if there is no other."""
    runner_up_confidence: float


class Classifier:
    """Fitted to questions; immutable."""

    def __init__(
        self,
        names: Sequence[str],
        by_vector: "NDArray[np.float32]",
        by_gram: "NDArray[np.float32]",
        rarity: "NDArray[np.float32]",
        bias: "NDArray[np.float32]",
        sharpness: float,
        left_out: float,
    ) -> None:
        self.names = tuple(names)
        self.left_out = left_out
        """Share of the questions that are told right by a fit without them."""
        self._by_vector = by_vector  # (dimensions, templates)
        self._by_gram = by_gram  # (BUCKETS, templates)
        self._rarity = rarity  # (BUCKETS,)
        self._bias = bias  # (templates,)
        self._sharpness = sharpness

    @classmethod
    def fit(cls, questions: Mapping[str, Sequence[str]], vectors: "NDArray[np.float32]") -> Self:
        """
        Args:
            questions: what people write, by template; at least two templates.
            vectors: one for each question, in order, of unit length.
        """
        import numpy as np

        names = list(questions)
        labels = np.repeat(np.arange(len(names)), [len(questions[name]) for name in names])
        found = [buckets(each) for texts in questions.values() for each in texts]
        count = len(found)
        seen = np.zeros(BUCKETS, np.float32)
        for each in found:
            seen[each] += 1
        # What no question has says nothing about any.
        rarity = np.where(seen > 0, np.log(count / np.maximum(seen, 1)) + 1, 0).astype(np.float32)
        grams = [_unit(rarity[each]) for each in found]
        wanted = np.eye(len(names), dtype=np.float64)[labels]
        bias = wanted.mean(axis=0)
        kernel = (vectors @ vectors.T + _products(found, grams)).astype(np.float64)
        inverse = np.linalg.inv(kernel + _RIDGE * np.eye(count))
        dual = inverse @ (wanted - bias)  # (questions, templates)
        # What a fit without the question would have said, in closed form.
        unseen = wanted - dual / np.diag(inverse)[:, None]
        by_gram = np.zeros((BUCKETS, len(names)), np.float32)
        for each, values, row in zip(found, grams, dual, strict=True):
            by_gram[each] += np.outer(values, row)
        return cls(
            names,
            (vectors.T @ dual).astype(np.float32),
            by_gram,
            rarity,
            bias.astype(np.float32),
            _sharpness(unseen, labels),
            float((unseen.argmax(axis=1) == labels).mean()),
        )

    def rank(
        self, text: str, vector: "NDArray[np.float32]", among: Collection[str] | None = None
    ) -> Ranked | None:
        """The best two of `among`; None if none of those is known."""
        import numpy as np

        chosen = [at for at, name in enumerate(self.names) if among is None or name in among]
        if not chosen:
            return None
        found = buckets(text)
        scores = self._bias + vector @ self._by_vector
        if len(found):
            scores = scores + _unit(self._rarity[found]) @ self._by_gram[found]
        shares = _softmax(scores[chosen] * self._sharpness)
        order = np.argsort(-shares, kind="stable")
        second = int(order[1]) if len(chosen) > 1 else None
        return Ranked(
            self.names[chosen[int(order[0])]],
            float(shares[order[0]]),
            "" if second is None else self.names[chosen[second]],
            0.0 if second is None else float(shares[second]),
        )


def _unit(values: "NDArray[np.float32]") -> "NDArray[np.float32]":
    import numpy as np

    unit: NDArray[np.float32] = values / np.maximum(np.sqrt(values @ values), np.float32(1e-9))
    return unit


def _products(
    found: "Sequence[NDArray[np.int64]]", grams: "Sequence[NDArray[np.float32]]"
) -> "NDArray[np.float32]":
    """Each question's grams times each other's: (questions, questions).

    One at a time against a row of all buckets, as the whole matrix would take 2,000 such rows.
    """
    import numpy as np

    sizes = np.array([len(each) for each in found])
    if not sizes.all():
        raise ValueError("a question without a letter")
    starts = np.concatenate(([0], np.cumsum(sizes)[:-1]))
    places, values = np.concatenate(found), np.concatenate(grams)
    row = np.zeros(BUCKETS, np.float32)
    products = np.empty((len(found), len(found)), np.float32)
    for at, (place, value) in enumerate(zip(found, grams, strict=True)):
        row[place] = value
        products[at] = np.add.reduceat(row[places] * values, starts)
        row[place] = 0
    return products


def _softmax(scores: "NDArray[np.floating]") -> "NDArray[np.floating]":
    import numpy as np

    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares: NDArray[np.floating] = powers / powers.sum(axis=-1, keepdims=True)
    return shares


def _sharpness(scores: "NDArray[np.floating]", labels: "NDArray[np.int64]") -> float:
    """The factor under which the labels are likeliest, looked for on a grid."""
    import numpy as np

    rows = np.arange(len(labels))
    grid = np.linspace(1.0, _SHARPEST, 79)
    losses = [-np.log(_softmax(scores * each)[rows, labels] + 1e-12).mean() for each in grid]
    return float(grid[int(np.argmin(losses))])
