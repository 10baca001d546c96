"""Letters as features: what a text asks for often stands in a few of them (翻译, `write a`).

They carry the languages in which the embedding model is weak; see decision 0068.
"""

import zlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["BUCKETS", "buckets", "heart"]

BUCKETS: Final = 1 << 17
"""Of 15,000 grams in the built-in questions few share one; fewer buckets cost accuracy (0068)."""
_HEAD: Final = 350
_TAIL: Final = 250
_HAN = (1, 2, 3)
_OTHER = (3, 4, 5)


def heart(text: str) -> str:
    """The part of a message that says what is wanted: of a long one, its beginning and its end."""
    text = text.strip()
    if len(text) <= _HEAD + _TAIL:
        return text
    return f"{text[:_HEAD]}\n{text[-_TAIL:]}"


def buckets(text: str) -> "NDArray[np.int64]":
    """The buckets that a text's grams fall into, sorted, each once."""
    import numpy as np

    found = {zlib.crc32(gram.encode()) % BUCKETS for gram in _grams(text)}
    return np.fromiter(sorted(found), np.int64, len(found))


def _grams(text: str) -> Iterator[str]:
    """Runs of one to three Chinese letters, and of three to five in which there is any other."""
    text = f" {' '.join(text.casefold().split())} "
    is_han = ["\u3400" <= letter <= "\u9fff" for letter in text]
    for size in range(1, 6):
        for at in range(len(text) - size + 1):
            if size in _sizes(is_han[at : at + size]):
                yield text[at : at + size]


def _sizes(is_han: Sequence[bool]) -> Sequence[int]:
    return _HAN if any(is_han) else _OTHER
