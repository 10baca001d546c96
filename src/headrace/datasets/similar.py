"""Rows that say nearly the same: MinHash over runs of letters, compared band by band.

Broder, "On the resemblance and containment of documents" (1997); banding as in Leskovec,
Rajaraman and Ullman, "Mining of Massive Datasets", chapter 3. Two rows count as similar when they
share an estimated 80 % of their runs of eight letters. Signatures lie in a temporary file (256
bytes a row) and one band is sorted at a time, so memory stays at some 30 bytes a row.
"""

import tempfile
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Similar", "find_similar", "signature"]

_RUN = 8
"""Letters of a shingle."""
_HASHES = 64
_BANDS = 16
_BASE = 0x9E3779B97F4A7C15
_SEED = 7


@dataclass(frozen=True, slots=True, kw_only=True)
class Similar:
    """Rows that say nearly the same."""

    groups: list[list[int]]
    """Positions of rows, the first of each group being the one to keep."""

    @property
    def repeats(self) -> int:
        """Rows that would go if one of each group stayed."""
        return sum(len(each) - 1 for each in self.groups)


def signature(text: str) -> "NDArray[np.uint32]":
    """64 minima of hashes of the text's runs of letters; case, spaces and marks do not count."""
    import numpy as np

    folded = unicodedata.normalize("NFKC", text).casefold()
    letters = "".join(filter(str.isalnum, folded)) or folded
    codes = np.frombuffer(letters.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    if len(codes) < _RUN:
        codes = np.pad(codes, (0, _RUN - len(codes)))
    factors, terms = _coefficients()
    count = len(codes) - _RUN + 1
    hashes = np.zeros(count, np.uint64)
    with np.errstate(over="ignore"):
        for at in range(_RUN):
            hashes = hashes * np.uint64(_BASE) + codes[at : at + count] + np.uint64(1)
        hashes ^= hashes >> np.uint64(31)
        minima = np.full(_HASHES, np.iinfo(np.uint32).max, np.uint32)
        # Each odd factor and term order the 32-bit hashes in another way.
        short = (hashes >> np.uint64(32)).astype(np.uint32)
        for begin in range(0, count, 1024):
            mixed = factors[:, None] * short[None, begin : begin + 1024]
            mixed += terms[:, None]
            np.minimum(minima, mixed.min(axis=1), out=minima)
    return minima


@cache
def _coefficients() -> "tuple[NDArray[np.uint32], NDArray[np.uint32]]":
    import numpy as np

    random = np.random.default_rng(_SEED)
    most = np.iinfo(np.uint32).max
    factors = random.integers(1, most, _HASHES, np.uint32, endpoint=True) | np.uint32(1)
    return factors, random.integers(0, most, _HASHES, np.uint32, endpoint=True)


def find_similar(texts: Iterable[str], *, least: float = 0.8) -> Similar:
    """Groups of texts of which each is similar to another one of its group.

    Args:
        least: share of common runs, as estimated (standard error 5 %).
    """
    import numpy as np

    with tempfile.TemporaryFile() as file:
        count = 0
        for text in texts:
            file.write(signature(text).tobytes())
            count += 1
        if count < 2:
            return Similar(groups=[])
        file.flush()
        signatures = np.memmap(file, np.uint32, "r", shape=(count, _HASHES))
        parents = np.arange(count)
        rows = _HASHES // _BANDS
        weights = np.array(
            [0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 1], np.uint64
        )
        for band in range(_BANDS):
            part = signatures[:, band * rows : (band + 1) * rows].astype(np.uint64)
            with np.errstate(over="ignore"):
                keys = (part * weights).sum(axis=1, dtype=np.uint64)
            order = np.argsort(keys, kind="stable")
            ranked = keys[order]
            alike = np.flatnonzero(ranked[1:] == ranked[:-1])
            for at in alike.tolist():
                one, other = _root(parents, order[at]), _root(parents, order[at + 1])
                if one != other and _resemble(signatures, order[at], order[at + 1], least):
                    parents[max(one, other)] = min(one, other)
    members: dict[int, list[int]] = {}
    for at in range(count):
        root = _root(parents, at)
        if root != at:
            members.setdefault(root, [root]).append(at)
    return Similar(groups=[members[root] for root in sorted(members)])


def _root(parents: "NDArray[np.int64]", at: int) -> int:
    while parents[at] != at:
        parents[at] = parents[parents[at]]
        at = parents[at]
    return int(at)


def _resemble(signatures: "NDArray[np.uint32]", one: int, other: int, least: float) -> bool:
    return bool((signatures[one] == signatures[other]).mean() >= least)
