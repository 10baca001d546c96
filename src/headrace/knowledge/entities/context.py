"""Which of several namesakes is meant: the one whose description shares most with the words around."""

import re
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache

from headrace.knowledge.entities.fold import fold
from headrace.knowledge.entities.settings import Entity

__all__ = ["best", "words_of"]

_WORD = re.compile(r"[\u3040-\u9fff]+|[^\W\d_\u3040-\u9fff]{4,}")


def words_of(folded: str) -> Iterator[str]:
    """Words of four letters and more without a plural's s, and pairs of Chinese signs."""
    for match in _WORD.finditer(folded):
        word = match[0]
        if "\u3040" <= word[0] <= "\u9fff":
            yield from (word[at : at + 2] for at in range(len(word) - 1))
        else:
            yield word.removesuffix("s")


@lru_cache(maxsize=4096)
def _said(text: str) -> frozenset[str]:
    return frozenset(words_of(fold(text)[0]))


def best(entities: Sequence[Entity], words: AbstractSet[str]) -> tuple[Entity, float]:
    """The entity that the words around fit best: 1 if it is alone, 0.5 for an even choice."""
    if len(entities) == 1:
        return entities[0], 1.0
    # The shared name is no evidence for either.
    said = [f"{e.description} {e.kind} {' '.join(e.attributes.values())}" for e in entities]
    fits = [len(words & _said(each)) for each in said]
    order = sorted(range(len(fits)), key=lambda at: -fits[at])
    first, second = fits[order[0]], fits[order[1]]
    return entities[order[0]], round((first + 1) / (first + second + 2), 3)
