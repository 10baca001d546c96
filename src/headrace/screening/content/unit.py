"""What is judged at once: a sentence; and of a sentence that does not end, its last words.

Where a unit begins depends on the `WINDOW` characters before it alone, so that a stream that has
forgotten what came earlier cuts as the whole text would.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["LONGEST", "WINDOW", "Units", "pending", "units"]

WINDOW = 180
"""Characters of a sentence after which it is cut at every gap; what is judged looks back as far."""
_WORD = 24
"""Characters without a gap after which every character is one."""
LONGEST = WINDOW + _WORD + 1
"""Characters of the longest unit."""

_END = re.compile(r"[!?\n。！？；]|[.;]\s|[.!?][\"'”’)]\s")
_GAP = re.compile(r"[\s,，、：:]")


@dataclass(frozen=True, slots=True)
class Units:
    """The units of a text in order: offsets, ends exclusive. (units,)"""

    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    contexts: NDArray[np.int64]
    """Where that begins which a unit is judged with: of a sentence that was cut, its last words."""


def pending(text: str, start: int) -> int:
    """Where the last unit begins, which more text may go on with; `start` at least."""
    return max(start, _last(text, start))


@lru_cache(maxsize=1)
def _last(text: str, start: int) -> int:
    return _cuts(text, start)[0][-1]


@lru_cache(maxsize=1)
def units(text: str, start: int) -> Units:
    """The units that begin at `start` or later. Kept for the next detector of the same text."""
    cuts, sentences = _cuts(text, start)
    begins = np.array(cuts, dtype=np.int64)
    ends = np.append(begins[1:], len(text))
    contexts = ends - WINDOW
    contexts[sentences] = begins[sentences]
    chosen = (begins >= start) & (ends > begins)
    return Units(begins[chosen], ends[chosen], contexts[chosen])


def _cuts(text: str, start: int) -> tuple[list[int], list[int]]:
    """Where units begin, one at or before `start` and all after it; and which of them begin a
    sentence."""
    floor = max(0, start - WINDOW - 2)
    cuts = [floor]
    sentences = [0]
    last = floor
    for match in _END.finditer(text, floor):
        _cut_long(text, last, match.end(), cuts)
        last = match.end()
        sentences.append(len(cuts))
        cuts.append(last)
    _cut_long(text, last, len(text), cuts)
    return cuts, sentences


def _cut_long(text: str, begin: int, end: int, cuts: list[int]) -> None:
    """Cut what goes on for more than a window without an end."""
    at = begin + WINDOW
    if at >= end:
        return
    gap = -1
    for match in _GAP.finditer(text, max(begin, at - _WORD), end):
        gap_end = match.end()
        if gap >= 0 or gap_end > at:
            _cut_each(max(at, gap + _WORD), gap_end, cuts)
        if gap_end > at:
            cuts.append(gap_end)
        gap = gap_end
    _cut_each(max(at, gap + _WORD), end, cuts)


def _cut_each(begin: int, end: int, cuts: list[int]) -> None:
    cuts.extend(range(max(begin, cuts[-1]) + 1, end))
