"""Signs: rules that find a kind of content by its words, sentence by sentence.

A pattern stays inside one sentence and has bounded gaps, so that time is linear whatever the text.
"""

import re
from dataclasses import dataclass

__all__ = ["GAP", "HAN_GAP", "Sign", "sign"]

GAP = r"[^.!?;\n]{0,60}?"
"""Something between two words of a sign, in languages with spaces."""
HAN_GAP = r"[^。！？；\n]{0,16}?"
"""Likewise in Chinese."""


@dataclass(frozen=True, slots=True)
class Sign:
    """One way to say something. Looked for in folded text (small letters, plain look-alikes)."""

    kind: str
    score: float
    needs: tuple[str, ...]
    """Pieces of which at least one stands in every match: a cheap first look."""
    pattern: re.Pattern[str]
    unless: re.Pattern[str] | None = None
    """What makes it harmless where it stands in the same sentence."""


def sign(kind: str, score: float, needs: str, pattern: str, unless: str | None = None) -> Sign:
    """A sign from its parts; `needs` are parted by `|`."""
    return Sign(
        kind,
        score,
        tuple(needs.split("|")),
        re.compile(pattern),
        re.compile(unless) if unless else None,
    )
