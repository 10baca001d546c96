"""What the injection classifier looks at: words, their neighbours, and runs of letters, as hashes.

Linear in the text's length. Chinese is taken character by character, so that pairs and triples of
characters stand for its words.
"""

import re
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from headrace.screening.detectors.term import fold

__all__ = ["BITS", "SHORT", "buckets"]

BITS = 18
"""Of a bucket's number: with 2^18 buckets a prompt's features rarely meet."""
_ADDRESS = re.compile(r"https?://[^\s<>\"']{1,200}|[\w.+-]{1,64}@[\w.-]{1,80}")
"""Whose address it is says nothing about the text around it."""
SHORT = 100
"""Added to the count of features, by whose root a sum is divided: a few words prove little."""
_TOKEN = re.compile(
    r"[^\W\d_\u3400-\u9fff]+|\d+|[\u3400-\u9fff]|[^\w\s\u2500-\u25ff]{1,3}(?=[\w\s]|$)|[^\w\s\u2500-\u25ff]"
)
"""Words, numbers, Chinese characters, short runs of signs; no frames and bars."""
_LETTERS = (4, 5)
"""Lengths of the runs of letters."""
_MIX = np.uint64(0x9E3779B97F4A7C15)
_SHIFT = np.uint64(64 - BITS)
_Hashes = NDArray[np.uint64]


def buckets(text: str) -> NDArray[np.int64]:
    """The buckets of a text's features, each once, in order."""
    folded = _ADDRESS.sub(" @ ", fold(text))
    tokens = ["0" if token[0].isdigit() else token for token in ["^", *_TOKEN.findall(folded), "$"]]
    words = np.fromiter((crc32(token.encode()) for token in tokens), np.uint64, len(tokens))
    parts = [_kind(words, 1), _kind(_joined(words, 1), 2), _kind(_skipping(words), 4)]
    parts.append(_kind(_joined(words, 2), 3))
    joined = " ".join(tokens)
    codes = np.frombuffer(joined.encode("utf-32-le", "replace"), np.uint32).astype(np.uint64)
    parts += [_kind(_joined(codes, size - 1), 4 + size) for size in _LETTERS]
    return np.unique(np.concatenate(parts)).astype(np.int64)


def _joined(items: _Hashes, more: int) -> _Hashes:
    """A hash for each run of `more + 1` neighbours."""
    size = len(items) - more
    if size <= 0:
        return items[:0]
    total = items[:size].copy()
    for step in range(1, more + 1):
        total = total * _MIX + items[step : step + size]
    return total


def _skipping(items: _Hashes) -> _Hashes:
    """A hash for each pair with one between them."""
    return items[:-2] * _MIX + items[2:]


def _kind(items: _Hashes, kind: int) -> _Hashes:
    mixed = (items + np.uint64(kind)) * _MIX
    return ((mixed ^ (mixed >> np.uint64(29))) * _MIX) >> _SHIFT
