"""Finding the kept question that is nearest in meaning, by its embedding.

Nearest in two passes, so that thousands of questions need no array library: the signs of a vector's
components as one whole number, compared by counting the bits that differ (0.1 µs each), then the
cosine of the sixteen nearest. Measured against exhaustive search and NumPy: docs/decisions/0051.
Vectors live in memory only, as long as their answers do.
"""

import heapq
import math
import operator
from array import array
from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from headrace.models.cache.difference import difference

__all__ = ["Meaning", "Nearest", "SemanticIndex"]

CANDIDATES = 16
"""Of which the cosine is computed. Recall of the nearest, measured: docs/decisions/0051."""


class Meaning:
    """A question's text and direction."""

    __slots__ = ("sketch", "text", "vector")

    def __init__(self, text: str, vector: Sequence[float]) -> None:
        length = math.sqrt(sum(map(operator.mul, vector, vector))) or 1.0
        self.text = text
        self.vector = array("f", [each / length for each in vector])
        """Of length 1, so that a product with another is their cosine."""
        self.sketch = int("".join(["1" if each > 0 else "0" for each in vector]) or "0", 2)

    @property
    def size_bytes(self) -> int:
        return 200 + len(self.text.encode()) + len(self.vector) * 4 + len(self.vector) // 7

    def similarity(self, other: "Meaning") -> float:
        """Their cosine; 0 for vectors of different models."""
        if len(self.vector) != len(other.vector):
            return 0.0
        return float(sum(map(operator.mul, self.vector, other.vector)))


class Nearest(msgspec.Struct, frozen=True):
    """What was found."""

    key: bytes
    similarity: float


class SemanticIndex:
    """The meanings of kept questions, apart for each partition (key.py)."""

    def __init__(self, max_entries: int) -> None:
        """
        Args:
            max_entries: of one partition; the oldest makes room.
        """
        self.max_entries = max_entries
        self._partitions: dict[bytes, OrderedDict[bytes, Meaning]] = {}
        self._places: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._places)

    def add(self, partition: bytes, key: bytes, meaning: Meaning) -> None:
        self.remove(key)
        entries = self._partitions.setdefault(partition, OrderedDict())
        entries[key] = meaning
        self._places[key] = partition
        while len(entries) > self.max_entries:
            oldest, _ = entries.popitem(last=False)
            del self._places[oldest]

    def remove(self, key: bytes) -> None:
        partition = self._places.pop(key, None)
        if partition is not None:
            entries = self._partitions[partition]
            del entries[key]
            if not entries:
                del self._partitions[partition]

    def nearest(self, partition: bytes, meaning: Meaning, threshold: float) -> Nearest | None:
        """The nearest of at least that similarity whose words do not speak against it."""
        entries = self._partitions.get(partition)
        if not entries:
            return None
        sketch = meaning.sketch
        apart = [(sketch ^ each.sketch).bit_count() for each in entries.values()]
        keys = list(entries)
        candidates = heapq.nsmallest(CANDIDATES, range(len(keys)), key=apart.__getitem__)
        found = [(meaning.similarity(entries[keys[at]]), keys[at]) for at in candidates]
        for similarity, key in sorted(found, reverse=True):
            if similarity < threshold:
                return None
            if difference(meaning.text, entries[key].text) is None:
                return Nearest(key, similarity)
        return None
