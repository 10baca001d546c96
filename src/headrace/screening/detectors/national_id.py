"""Numbers that states give to persons: US, UK and China."""

import datetime
import re
from collections.abc import Iterator

from headrace.screening.finding import Span

__all__ = ["NationalIdDetector"]

_HEAD = re.compile(r"\d(?<!\d\d)(?=(?:[\- ]?\d){5})")
"""Six digits in a row or in groups: the least any of them has."""
_RUN = re.compile(r"\d+")
_SSN = re.compile(
    r"(?<![A-Za-z0-9\-])(?!000|666|9)\d{3}(?P<gap>[\- ]?)(?!00)\d\d(?P=gap)(?!0000)\d{4}"
    r"(?![A-Za-z0-9])(?!-\d)"
)
"""Hyphens; or spaces or nothing, when the text says what it is."""
_RESIDENT = re.compile(
    r"(?<![A-Za-z0-9])[1-8]\d{5}(?:18|19|20)\d{2}[01]\d[0-3]\d{4}[\dXx](?![A-Za-z0-9])"
)
_NINO = re.compile(
    r"(?<![A-Za-z0-9])(?:[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d\d ?\d\d ?\d\d ?[A-D]"
    r"|[a-ceghj-pr-tw-z][a-ceghj-npr-tw-z] ?\d\d ?\d\d ?\d\d ?[a-d])(?![A-Za-z0-9])"
)
_OPEN = re.compile(
    r"(?<![A-Za-z0-9\-])\d{1,3}+(?:[\- ](?:\d{1,2}+(?:[\- ](?:\d{1,4}+-?)?)?)?)?\Z"
    r"|(?<![A-Za-z0-9])\d{1,17}+[\dXx]?\Z"
    r"|(?<![A-Za-z0-9])[A-Za-z]{2} ?(?P<nino>\d(?: ?\d){0,5}+ ?[A-Da-d]?)\Z"
)
_WINDOW = 19
_SAYS_SSN = re.compile(r"(?i)(?:\bSSN|social[ \-]security)[^\d\n]{0,24}\Z")
_NOT_NINO = frozenset({"BG", "GB", "NK", "KN", "TN", "NT", "ZZ"})
_PROVINCES = frozenset(
    {11, 12, 13, 14, 15, 21, 22, 23, 31, 32, 33, 34, 35, 36, 37, 41, 42, 43, 44, 45, 46}
    | {50, 51, 52, 53, 54, 61, 62, 63, 64, 65, 71, 81, 82, 83}
)
_CN_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


class NationalIdDetector:
    """Finds US social security numbers, UK national insurance numbers and Chinese resident ids.

    Checked: ranges never given out (US), impossible prefixes (UK), province, birthday and check
    character (China). A US number without hyphens counts only shortly behind "SSN" or "social
    security". Does not catch: other countries' numbers, passports, the 15-digit Chinese ids from
    before 1999, numbers broken over lines.
    """

    name = "national_id"
    kinds = ("national_id",)
    languages = ("en", "zh")
    cost_us = 6
    window = _WINDOW + 1
    wakes = ()
    is_numeric = True

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        floor = start
        for head in _HEAD.finditer(text, start):
            at = head.start()
            run = _RUN.match(text, at)
            if at < floor or run is None:
                continue
            begin, end = _id_at(text, at, run.end() - at)
            if end:
                yield Span("national_id", begin, end, public=at - begin)
                floor = end

    def pending(self, text: str, start: int) -> int:
        if not text or not (text[-1].isalnum() or text[-1] in " -"):
            return len(text)
        at = max(0, start - 3, len(text) - _WINDOW)
        while run := _OPEN.search(text, at):
            begin = run.start("nino") if run["nino"] else run.start()
            if begin >= start:
                return begin
            at = run.start() + 1
        return len(text)


def _id_at(text: str, at: int, digits: int) -> tuple[int, int]:
    """Begin and end of the number whose first digits stand here; ends at 0 when there is none."""
    if (
        digits in (3, 9)
        and (match := _SSN.match(text, at))
        and (match["gap"] == "-" or _SAYS_SSN.search(text, max(0, at - 48), at))
    ):
        return match.span()
    if digits in (17, 18) and (match := _RESIDENT.match(text, at)):
        return match.span() if _is_resident_id(match[0]) else (at, 0)
    if digits in (2, 4, 6) and at >= 2:
        begin = at - 3 if text[at - 1] == " " else at - 2
        match = _NINO.match(text, begin) if begin >= 0 else None
        if match and match[0][:2].upper() not in _NOT_NINO:
            return match.span()
    return at, 0


def _is_resident_id(number: str) -> bool:
    """GB 11643-1999: known province, real birthday, ISO 7064 MOD 11-2 check character."""
    try:
        datetime.date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError:
        return False
    total = sum(int(digit) * weight for digit, weight in zip(number, _CN_WEIGHTS, strict=False))
    return int(number[:2]) in _PROVINCES and "10X98765432"[total % 11] == number[17].upper()
