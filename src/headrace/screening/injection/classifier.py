"""How much a text is like an attack on a model, by a linear classifier over hashed features.

Trained and calibrated by `tools/train_injection.py`, judged by `bench/screening/injection.py` on
sources it never learnt from. Knows the words and turns of English and Chinese attacks, and a little
of ten other languages. Does not understand what a text is for: talk about attacks, and roles that
people give to a model, come close to attacks.
"""

import itertools
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

import msgspec
import numpy as np
from numpy.typing import NDArray

from headrace.screening.injection.feature import BITS, SHORT, buckets

__all__ = ["WINDOW", "Classifier", "Model", "classifier", "windows"]

WINDOW = 2000
"""Characters that are judged at once; a longer text counts as its worst part."""
_STEP = 1500
_ENDS = 8
"""Windows at either end of a long text that are always judged."""
_MIDDLE = 16
"""Others that are judged at most: the first ones in which a word of attacks stands."""
_WORDS = re.compile(
    r"ignor|disregard|forget|instruct|prompt|system|assistant|you are|pretend|secret|passw|reply|respond"
    r"|\b(?:ai|llm|dan)\b|忽略|无视|指令|提示词|助手|扮演|密码",
    re.IGNORECASE,
)


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """What weights.bin means (weights.json)."""

    bits: int
    scale: float
    """A weight is its byte times this."""
    bias: float
    points: list[tuple[float, float]]
    """Pairs of raw score and score, rising; between them, straight lines."""
    trained_on: dict[str, int]
    """Texts by source."""


class Classifier:
    """Scores texts between 0 (nothing like an attack) and 1."""

    def __init__(self, model: Model, weights: NDArray[np.int8]) -> None:
        self._model = model
        self._weights = weights
        self._raw, self._scores = zip(*model.points, strict=True)

    def raw(self, text: str) -> float:
        """The log-odds of one window."""
        found = buckets(text)
        total = int(self._weights[found].sum(dtype=np.int64))
        return total * self._model.scale / float(np.sqrt(len(found) + SHORT)) + self._model.bias

    def score(self, text: str) -> tuple[float, int, int]:
        """The score of the worst window, and where it is."""
        worst, start, end = max(
            (self.raw(text[begin:stop]), -begin, stop) for begin, stop in _looked_at(text)
        )
        return float(np.interp(worst, self._raw, self._scores)), -start, end


def windows(size: int) -> Sequence[tuple[int, int]]:
    """The parts of a text of that size, the last one whole."""
    if size <= WINDOW:
        return [(0, size)]
    begins = [*range(0, size - WINDOW, _STEP), size - WINDOW]
    return [(begin, begin + WINDOW) for begin in begins]


def _looked_at(text: str) -> Sequence[tuple[int, int]]:
    """The windows that are judged: all of a page or ten; of a longer text both ends, and between
    them those that have a word of attacks. Named rules look at all of it."""
    every = windows(len(text))
    if len(every) <= 2 * _ENDS:
        return every
    between = (each for each in every[_ENDS:-_ENDS] if _WORDS.search(text, *each))
    return [*every[:_ENDS], *itertools.islice(between, _MIDDLE), *every[-_ENDS:]]


@cache
def classifier() -> Classifier:
    """The one that comes with the package."""
    folder = files("headrace.screening.injection")
    model = msgspec.json.decode(folder.joinpath("weights.json").read_bytes(), type=Model)
    weights = np.frombuffer(folder.joinpath("weights.bin").read_bytes(), np.int8)
    if model.bits != BITS or len(weights) != 1 << BITS:
        raise ValueError(f"weights.bin is not for {BITS} bits")
    return Classifier(model, weights)
