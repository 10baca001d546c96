"""Which rows a dataset has already: 8 bytes a row, looked up in batches.

The first half of a row's id stands for it. Among ten million rows two different ones share it
with a probability of 1 in 370,000.
"""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["KnownRows"]

_MERGE_AT = 65_536


class KnownRows:
    """A growing set of ids."""

    def __init__(self, indices: Iterable["NDArray[np.void]"]) -> None:
        import numpy as np

        parts = [each["id"].astype(np.uint64) for each in indices]
        self._sorted = np.unique(np.concatenate(parts)) if parts else np.empty(0, np.uint64)
        self._fresh: set[int] = set()

    def add_new(self, row_ids: Sequence[bytes]) -> list[bool]:
        """For each, in order, whether it was not known; it is now."""
        import numpy as np

        halves = [int.from_bytes(each[:8], "big") for each in row_ids]
        if len(self._sorted):
            wanted = np.array(halves, dtype=np.uint64)
            at = np.searchsorted(self._sorted, wanted)
            at[at == len(self._sorted)] = 0
            known = (self._sorted[at] == wanted).tolist()
        else:
            known = [False] * len(halves)
        is_new: list[bool] = []
        for half, was_known in zip(halves, known, strict=True):
            new = not was_known and half not in self._fresh
            if new:
                self._fresh.add(half)
            is_new.append(new)
        if len(self._fresh) > _MERGE_AT:
            fresh = np.fromiter(self._fresh, np.uint64, len(self._fresh))
            self._sorted = np.union1d(self._sorted, fresh)
            self._fresh.clear()
        return is_new
