"""Dates of birth."""

import re
from collections.abc import Iterator

from headrace.screening.detectors.named_number import cue
from headrace.screening.finding import Span

__all__ = ["BirthDateDetector"]

_MONTH = (
    "January|February|March|April|May|June|July|August|September|October|November|December"
    "|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sept?|Oct|Nov|Dec"
)
_DATE = re.compile(
    r"(?:(?:19|20)[0-9]{2}([\-/.])[01]?[0-9]\1[0-3]?[0-9]"
    r"|[0-3]?[0-9]([\-/.])[0-3]?[0-9]\2(?:19|20)?[0-9]{2}"
    rf"|[0-3]?[0-9](?:st|nd|rd|th)?(?: of)?[ \-](?:{_MONTH})\.?,?[ \-](?:19|20)[0-9]{{2}}"
    r"|[0-3]?[0-9](?:st|nd|rd|th)?,? (?:19|20)[0-9]{2}"  # behind the month
    r"|(?:19|20)?[0-9]{2}年[01]?[0-9]月(?:[0-3]?[0-9][日号])?"
    r"|(?:19|20)[0-9]{2}[01][0-9][0-3][0-9])(?![0-9A-Za-z])(?![\-/.][0-9])"
)
_MONTH_BEFORE = re.compile(rf"(?<![A-Za-z])(?:{_MONTH})\.? \Z")
_HEAD = re.compile(
    r"[0-9](?<![0-9][0-9])(?=[0-9]{0,3}(?:[\-/.年][0-9]|[0-9]{4}|[a-z]{0,2}(?: of)?,?[ \-](?:[A-Z][a-z]|[12][0-9]{3})))"
)
"""How every date below begins: one cheap look."""
_OPEN = re.compile(
    r"(?<![0-9])[0-9]{1,4}(?:"
    r"[\-/.](?:[0-9]{1,2}(?:[\-/.][0-9]{0,4}[\-/.]?)?)?"
    r"|(?:s|st|n|nd|r|rd|t|th)?(?: (?:o|of|of )?)?"
    r"|(?:st|nd|rd|th)?(?: of)?[ \-][A-Z][a-z]{0,8}\.?,?[ \-]?[0-9]{0,4}[\-/.]?"
    r"|(?:st|nd|rd|th)?,? ?[0-9]{0,4}[\-/.]?"
    r"|年[0-9]{0,2}(?:月[0-9]{0,2}[日号]?)?"
    r"|[0-9]{1,4}[\-/.]?)\Z"
)
_WINDOW = 32
_REACH = 64
_SAYS = cue(
    r"born(?: on| in)?|dob|d\.o\.b\.?|date of birth|birth ?date|birthday|birth|geboren(?: am)?|geburtsdatum"
    r"|n[eé]e? le|date de naissance|fecha de nacimiento|nacid[oa] el|data di nascita|nat[oa] il|geboortedatum",
    "出生(?:日期|年月日?|于)?|生日|生于|né le|née le",
)


class BirthDateDetector:
    """Finds dates shortly behind words such as "born" or "date of birth".

    The month's name in front of a day is public. Does not catch: dates in words, ages, dates
    that nothing names.
    """

    name = "birth_date"
    kinds = ("birth_date",)
    languages = ("en", "zh", "de", "fr", "es", "it", "nl")
    cost_us = 8
    window = _WINDOW
    wakes = ()
    is_numeric = True

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        floor = start
        for head in _HEAD.finditer(text, start):
            at = head.start()
            if at < floor:
                continue
            match = _DATE.match(text, at)
            if match is None:
                continue
            before = text[max(0, at - _REACH) : at]
            month = _MONTH_BEFORE.search(before)
            if month is None and re.fullmatch(r"[0-9]+[a-z]{0,2},? [0-9]+", match[0]):
                continue
            begin = at - len(month[0]) if month else at
            if _SAYS.search(before[: len(before) - (at - begin)]):
                yield Span("birth_date", begin, match.end(), public=at - begin)
                floor = match.end()

    def pending(self, text: str, start: int) -> int:
        run = _OPEN.search(text, max(start, len(text) - _WINDOW))
        return run.start() if run else len(text)
