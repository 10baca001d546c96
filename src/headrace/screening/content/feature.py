"""What the classifier looks at: words, pairs of words and runs of letters, hashed into buckets.

Each feature belongs to the character at which it ends. All of it is array work, so that time is
linear in the text whatever it says.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["BUCKETS", "Features", "features"]

BUCKETS = 1 << 16
_LONGEST_WORD = 24
"""Longer words are seen as runs of letters only."""
_BASE = np.uint64(0x9E3779B97F4A7C15)
_INVERSE = np.uint64(pow(0x9E3779B97F4A7C15, -1, 1 << 64))
_MIX = np.uint64(0xC2B2AE3D27D4EB4F)
_SHIFT = np.uint64(64 - 16)
_SEEDS = {
    name: np.uint64(seed)
    for name, seed in (("1", 11), ("2", 23), ("3", 37), ("4", 53), ("5", 61), ("word", 71), ("pair", 97))
}  # fmt: skip
_LEET = str.maketrans("0134578@$", "oieastbas")
"""Signs that stand for letters inside words: `sh1t`, `a$$`. Digits between digits read as letters
too, in training as in use."""

_Codes = NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Features:
    """The features of a text in order of `ends`. (features,)"""

    ends: NDArray[np.int64]
    """One past the last character of each."""
    buckets: NDArray[np.int64]
    han: NDArray[np.bool_]
    """Which characters are Han. (characters,)"""


def features(folded: str) -> Features:
    """All features of a folded text (term.py); offsets are those of the text."""
    codes = _codes(folded)
    size = len(codes)
    if not size:
        return Features(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.bool_))
    han = (codes >= 0x3400) & (codes <= 0x9FFF)
    letter = _is_letter(codes) & ~han
    ends: list[NDArray[np.int64]] = []
    hashes: list[_Codes] = []
    for length, seed in ((1, "1"), (2, "2"), (3, "3")):
        _runs(codes, han, length, _SEEDS[seed], ends, hashes)
    spaced = letter | (codes == 0x20)
    for length, seed in ((4, "4"), (5, "5")):
        _runs(codes, spaced, length, _SEEDS[seed], ends, hashes)
    _words(codes, letter, ends, hashes)
    every = np.concatenate(ends)
    buckets = ((np.concatenate(hashes) * _MIX) >> _SHIFT).astype(np.int64)
    order = np.argsort(every, kind="stable")
    return Features(every[order], buckets[order], han)


def _codes(folded: str) -> _Codes:
    plain = folded.translate(_LEET)
    return np.frombuffer(plain.encode("utf-32-le", "surrogatepass"), dtype=np.uint32).astype(
        np.uint64
    )


def _is_letter(codes: _Codes) -> NDArray[np.bool_]:
    """Letters of alphabets, roughly, and the apostrophe; no punctuation of any script, so that no
    word lies across the end of a sentence."""
    letters: NDArray[np.bool_] = (
        ((codes >= 0x61) & (codes <= 0x7A))
        | (codes == 0x27)
        | ((codes >= 0xC0) & (codes < 0x2000))
        | ((codes >= 0x3041) & (codes < 0x3400))
        | ((codes >= 0xA000) & (codes < 0xD800))
    )
    return letters


def _runs(
    codes: _Codes,
    among: NDArray[np.bool_],
    length: int,
    seed: np.uint64,
    ends: list[NDArray[np.int64]],
    hashes: list[_Codes],
) -> None:
    """Every run of `length` characters that are all `among`."""
    count = len(codes) - length + 1
    if count <= 0:
        return
    whole = among[:count].copy()
    for step in range(1, length):
        whole &= among[step : step + count]
    at = np.flatnonzero(whole)
    hashed = np.full(len(at), seed, dtype=np.uint64)
    for step in range(length):
        hashed = (hashed ^ codes[at + step]) * _BASE
        hashed ^= hashed >> np.uint64(29)
    ends.append(at + length)
    hashes.append(hashed)


def _words(
    codes: _Codes,
    letter: NDArray[np.bool_],
    ends: list[NDArray[np.int64]],
    hashes: list[_Codes],
) -> None:
    """Every word of letters, and every two that one or two characters part."""
    edges = np.diff(np.concatenate(([False], letter, [False])).astype(np.int8))
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    if not len(starts):
        return
    size = len(codes)
    # The sum of code × base^-i up to each place: a word's is a difference, shifted to one origin.
    falling = np.cumprod(np.full(size, _INVERSE, dtype=np.uint64))
    rising = np.cumprod(np.full(size, _BASE, dtype=np.uint64))
    sums = np.concatenate((np.zeros(1, np.uint64), np.cumsum(codes * falling, dtype=np.uint64)))
    words = ((sums[stops] - sums[starts]) * rising[starts]).astype(np.uint64)
    words = ((words ^ _SEEDS["word"]) * _BASE).astype(np.uint64)
    words ^= words >> np.uint64(31)
    fits = stops - starts <= _LONGEST_WORD
    ends.append(stops[fits])
    hashes.append(words[fits])
    near = fits[1:] & fits[:-1] & (starts[1:] - stops[:-1] <= 2)
    pairs: _Codes = (words[:-1] * _BASE) ^ words[1:] ^ _SEEDS["pair"]
    pairs = (pairs * _BASE) ^ (pairs >> np.uint64(27))
    ends.append(stops[1:][near])
    hashes.append(pairs[near])
