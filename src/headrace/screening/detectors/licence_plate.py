"""Registration plates of vehicles."""

import re
from collections.abc import Iterator

from headrace.screening.detectors.named_number import cue, says
from headrace.screening.finding import Span

__all__ = ["LicencePlateDetector"]

_RUN = re.compile(r"[0-9]+")
_PROVINCES = "京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼"
_CHINESE = re.compile(
    rf"[{_PROVINCES}][A-HJ-Z][·• ]?(?=[A-HJ-NP-Z0-9]*[0-9])[A-HJ-NP-Z0-9]{{5,6}}[学警挂港澳]?(?![A-Za-z0-9])"
)
_OTHER = re.compile(r"[A-Z0-9ÄÖÜ]{1,8}(?:[ \-·][A-Z0-9]{1,5}){0,3}(?![A-Za-z0-9])(?![\-.][0-9])")
_SAYS = cue(
    r"(?:licen[cs]e|number|registration|vehicle|car) plates?(?: number| no)?|plate(?: number| no|s)|tag number",
    r"(?:vehicle |car )?registration(?: number| no| mark)|reg(?: no| number|\.)|kennzeichen|kfz-kennzeichen",
    "车牌号?码?|牌照",
)
_STEMS = ("late", "LATE", "eg n", "eg.", "egistration", "ennzeichen")
_HAN_STEMS = ("车牌", "牌照")
_HAN = re.compile(rf"[{_PROVINCES}][A-HJ-Z]")
_LEAD = re.compile(r"(?<![A-Za-z0-9])[A-Z0-9ÄÖÜ]{0,5}(?:[ \-·]?[A-Z]{1,3})?[ \-·]?\Z")
_OPEN = re.compile(r"(?<![0-9])[0-9][0-9A-Z]{0,7}(?:[ \-·][0-9A-Z]{0,5}){0,3}[学警挂港澳]?[\-.]?\Z")
_WINDOW = 32
_REACH = 64


class LicencePlateDetector:
    """Finds Chinese plates by themselves, and others behind words such as "licence plate".

    What may be hidden begins at the first digit. Does not catch: Chinese plates whose sixth sign
    is their first digit and that stand between letters; plates that nothing names.
    """

    name = "licence_plate"
    kinds = ("licence_plate",)
    languages = ("en", "zh", "de")
    cost_us = 5
    window = _WINDOW
    wakes = ()
    is_numeric = True

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        if not says(text, start, _STEMS) and (
            text.isascii()
            or not (says(text, start, _HAN_STEMS) or _HAN.search(text, max(0, start - 8)))
        ):
            return
        floor = start
        for run in _RUN.finditer(text, start):
            at = run.start()
            if at < floor or text[at - 1 : at].isdecimal():
                continue
            begin, end = _plate_at(text, at)
            if end > at:
                yield Span("licence_plate", begin, end, public=at - begin)
                floor = end

    def pending(self, text: str, start: int) -> int:
        run = _OPEN.search(text, max(start, len(text) - _WINDOW))
        return run.start() if run else len(text)


def _plate_at(text: str, at: int) -> tuple[int, int]:
    """Begin and end of the plate whose first digit is at `at`; ends at 0 when there is none."""
    for begin in range(max(0, at - 8), at - 1):
        if text[begin] in _PROVINCES and (match := _CHINESE.match(text, begin)):
            digit = _RUN.search(text, begin)
            return (begin, match.end()) if digit and digit.start() == at else (at, 0)
    before = text[max(0, at - _REACH) : at]
    lead = _LEAD.search(before)
    size = len(lead[0]) if lead else 0
    if lead is None or any(char.isdigit() for char in lead[0]):
        return at, 0
    while True:
        begin = at - size
        match = _OTHER.match(text, begin)
        if (
            match
            and 4 <= sum(map(str.isalnum, match[0])) <= 8
            and _SAYS.search(before[: len(before) - size])
        ):
            return begin, match.end()
        gap = re.search(r"[ \-·]", text[begin:at])
        if gap is None:
            return at, 0
        size -= gap.end()
