"""Plain words: what an answer is mostly made of, and what no detector waits for or finds.

A detector that has `wakes` promises this. Plain text is letters, spaces and the punctuation
below. Once a stretch of it with a letter in it has left, no more of it is waited for, and nothing
is found in it, for as long as plain text follows; except behind the detector's wakes: plain words
that may lead to what it looks for, each as `(pattern of what stands before, last characters)`. So
a piece of plain text may leave with one look.

One whose wakes would be too many has `alert(text, start)` in their place, which tells of any text whether
something that it looks for ends at `start` or later. It is asked about each piece; once it has said no for
its window, and nothing is held back, it waits for nothing and finds nothing, and so need not see the text.

One that has `is_numeric` promises that the part to hide of what it finds or waits for has a digit,
a plus or an opening bracket in it, so that text without them need not be shown to it.
"""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import TypeAlias

from headrace.screening.finding import Detector

__all__ = [
    "Alert",
    "alerts_of",
    "has_number",
    "plain_pattern",
    "without_alerting",
    "without_numeric",
]

Alert: TypeAlias = Callable[[str, int], bool]
"""Whether a detector wants to see what begins at an index of a text."""

has_number = re.compile(r"[\d+(]").search
"""Looks for what a numeric detector needs, from an index on."""

_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_CHARACTERS = f"{_LETTERS}{_LETTERS.upper()} \n,.!?;)*'-…，。！？；、）”’"
_RANGES = r"\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ff\u4e00-\u9fff"


def plain_pattern(detectors: Sequence[Detector]) -> re.Pattern[str] | None:
    """Matches plain text that wakes none of them; None when one of them has to see everything."""
    wakes: dict[str, list[str]] = {}
    for each in detectors:
        said: Iterable[tuple[str, str]] | None = getattr(each, "wakes", None)
        if said is None:
            if getattr(each, "alert", None) is not None:
                continue
            return None
        for before, last in said:
            for char in last:
                wakes.setdefault(char, []).append(before)
    calm = "".join(re.escape(char) for char in _CHARACTERS if char not in wakes)
    guarded = [
        "".join(f"(?<!{before})" for before in befores) + re.escape(char)
        for char, befores in wakes.items()
        if "" not in befores
    ]
    never = "".join(char for char, befores in wakes.items() if "" in befores)
    ranges = f"(?![{never}])[{_RANGES}]" if never else f"[{_RANGES}]"
    return re.compile("|".join((f"(?:[{calm}]++", *guarded, ranges)) + ")++")


def alerts_of(detectors: Sequence[Detector]) -> tuple[Alert, ...]:
    """Of those that have no wakes, what to ask about each piece."""
    return tuple(
        alert
        for each in detectors
        if not hasattr(each, "wakes") and (alert := getattr(each, "alert", None)) is not None
    )


def without_alerting(detectors: Sequence[Detector]) -> tuple[Detector, ...]:
    """Those that must see text about which no alert was given, too."""
    return tuple(e for e in detectors if hasattr(e, "wakes") or not hasattr(e, "alert"))


def without_numeric(detectors: Sequence[Detector]) -> tuple[Detector, ...]:
    """Those that must see text without numbers, too."""
    return tuple(each for each in detectors if not getattr(each, "is_numeric", False))
