"""Numbers that a word in front names: an engine for identifiers of states, banks and hospitals.

A `Shape` says how such a number is written, which words must stand shortly before it and how its
check digits work. `NamedNumberDetector` finds them in one pass over the runs of digits; what has
no five digits close together costs next to nothing.

What may be hidden begins at a number's first digit; letters in front are public (finding.py).
"""

import re
import string
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module

from headrace.screening.finding import Span

__all__ = ["NamedNumberDetector", "Shape", "cue", "says", "standard"]

_HEAD = re.compile(r"[0-9](?<![0-9][0-9])(?=(?:[A-Za-z \-./·]{0,3}+[0-9]){4})")
"""Five digits close together: every shape has as many, and prose seldom."""
_OPEN = re.compile(r"(?<![0-9])[0-9][0-9A-Za-z]{0,23}+(?:[ \-./·][0-9A-Z]{1,16}+){0,8}+[ \-./·]?\Z")
"""What may become a number: shapes consist of this. Letters behind a gap are capitals."""
_OPEN_LAST = frozenset(string.ascii_letters + string.digits + " -./·")
_WINDOW = 48
_LONGEST_LEAD = 8
_CUE_REACH = 64
_GAP = r"(?:[^0-9\n.!?;。！？；]|(?<=[nN][oOrR])\.){0,28}+"
"""Between the word and its number: no other number, no end of a sentence."""
_OTHER_NUMBER = re.compile(
    r"(?i)(?<![a-z])(?:order|invoice|ticket|tracking|parcel|shipment|serial|version|build|issue|isbn|issn|doi"
    r"|part|model|page|phone|telephone|mobile|fax|extension|zip|postcode|port|error|commit)(?![a-z])"
    r"|订单|单号|发票|快递|编码|版本|电话|手机|邮编|型号|端口"
)
"""Words that say the number is another one."""


@dataclass(frozen=True, slots=True)
class Shape:
    """How a number is written, what names it, and how it is checked."""

    kind: str
    pattern: re.Pattern[str]
    """From the number's beginning, letters in front included, to its end."""
    cue: re.Pattern[str] | None = None
    """Looked for in the text before; None where the number tells by itself what it is."""
    check: Callable[[str], bool] | None = None
    score: float = 1.0

    @classmethod
    def of(
        cls,
        kind: str,
        pattern: str,
        cue: re.Pattern[str] | None = None,
        check: Callable[[str], bool] | None = None,
    ) -> "Shape":
        """A shape by its pattern alone: that the number ends where it seems to is added."""
        ends = r"(?![A-Za-z0-9_])(?![\-./·][0-9])"
        return cls(kind, re.compile(f"(?:{pattern}){ends}"), cue, check)


def cue(*words: str) -> re.Pattern[str]:
    """Matches the end of a text in which one of the words shortly precedes what follows.

    Words are patterns; Latin ones match whole words, in any case.
    """
    latin = "|".join(word for word in words if word.isascii())
    other = "|".join(word for word in words if not word.isascii())
    parts = [rf"(?<![A-Za-z0-9])(?:{latin})(?![A-Za-z])"] if latin else []
    parts += [f"(?:{other})"] if other else []
    return re.compile(rf"(?i)(?:{'|'.join(parts)})(?P<gap>{_GAP})\Z")


def standard(module: str) -> Callable[[str], bool]:
    """The check of `stdnum.MODULE` (python-stdnum), imported when a number is first checked."""

    def check(number: str) -> bool:
        is_valid: Callable[[str], bool] = import_module(f"stdnum.{module}").is_valid
        return is_valid(number)

    return check


class NamedNumberDetector:
    """Finds numbers of the shapes it is made with; where several fit, the longest.

    Does not catch: numbers broken over lines, in words, or named only behind them.
    """

    cost_us = 6
    window = _WINDOW + 1
    wakes = ()
    is_numeric = True

    def __init__(self, name: str, shapes: Sequence[Shape], languages: tuple[str, ...]) -> None:
        self.name = name
        self.languages = languages
        self.kinds = tuple(dict.fromkeys(shape.kind for shape in shapes))
        self._plain = tuple(shape for shape in shapes if shape.cue is None)
        self._cued = tuple(shape for shape in shapes if shape.cue is not None)

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        floor = start
        for at in _heads(text, start):
            if at < floor:
                continue
            begin = _token_begin(text, at)
            span = self._at(text, begin, at) if begin >= 0 else None
            if span is not None:
                yield span
                floor = span.end

    def pending(self, text: str, start: int) -> int:
        size = len(text)
        if text[-1:] not in _OPEN_LAST:
            return size
        run = _OPEN.search(text, max(start, size - _WINDOW))
        return run.start() if run else size

    def _at(self, text: str, begin: int, at: int) -> Span | None:
        """The longest number that begins here and whose first digit is at `at`."""
        best: Span | None = None
        before: str | None = None
        for shape in (*self._plain, *self._cued):
            match = shape.pattern.match(text, begin)
            if match is None or (best is not None and match.end() <= best.end):
                continue
            if shape.cue is not None:
                if before is None:
                    before = text[max(0, begin - _CUE_REACH) : begin]
                said = shape.cue.search(before)
                if said is None or _OTHER_NUMBER.search(said["gap"]):
                    continue
            if shape.check is None or shape.check(match[0]):
                best = Span(shape.kind, begin, match.end(), shape.score, public=at - begin)
        return best


@lru_cache(maxsize=1)
def _heads(text: str, start: int) -> tuple[int, ...]:
    """Where numbers may begin. Kept for the next detector, which looks at the same text."""
    return tuple(head.start() for head in _HEAD.finditer(text, start))


def says(text: str, start: int, stems: Sequence[str]) -> bool:
    """Whether a stem stands where it could name a number from `start` on: a cheap first look."""
    at = max(0, start - _CUE_REACH)
    return any(text.find(stem, at) >= 0 for stem in stems)


def _token_begin(text: str, at: int) -> int:
    """Where the token begins whose first digit is at `at`; -1 when a digit stands before."""
    begin = at
    while (
        begin
        and at - begin <= _LONGEST_LEAD
        and text[begin - 1].isascii()
        and text[begin - 1].isalpha()
    ):
        begin -= 1
    before = text[begin - 1 : begin]
    return (
        -1
        if before
        and (before == "_" or (before.isascii() and before.isalnum()) or before.isdecimal())
        else begin
    )
