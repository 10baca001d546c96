"""Postal addresses."""

import re
from collections.abc import Iterator

from headrace.screening.finding import Span

__all__ = ["AddressDetector"]

_TYPE = (
    "Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Drive|Dr|Boulevard|Blvd|Court|Ct|Way|Place|Pl|Square|Sq|Terrace|Close|Crescent|Cres"
    "|Parkway|Pkwy|Highway|Hwy|Gardens|Grove|Mews|Circle|Cir|Trail|Row|Hill|Quay|Alley|Plaza|Pike"
)
_NAME = r"[A-Z][A-Za-z'’]{0,24}\.?|[0-9]{1,3}(?:st|nd|rd|th)|of|the"
_UNIT = r"(?:,? (?:Apt|Apartment|Suite|Ste|Unit|Flat|Floor|Fl|Room|Rm)\.? ?#?[A-Z0-9\-]{1,6}|,? #[A-Z0-9\-]{1,6})"
_TOWN = r"(?:,? [A-Z][A-Za-z.'’]{1,24}(?: [A-Z][A-Za-z.'’]{1,24}){0,2})"
_CODE = r"(?:,? [A-Z]{2},? [0-9]{5}(?:-[0-9]{4})?|,? [A-Z]{1,2}[0-9][A-Z0-9]? [0-9][A-Z]{2})"
_STREET = re.compile(
    rf"[0-9]{{1,5}}[A-Za-z]?(?:-[0-9]{{1,5}})?,?(?! Ways? To )(?: (?:{_NAME})){{1,4}}?(?:"
    rf" (?:{_TYPE})\.?(?![A-Za-z])(?: (?:N|S|E|W|NE|NW|SE|SW|North|South|East|West)(?![A-Za-z]))?{_UNIT}?(?:{_TOWN}?{_CODE})?"
    rf"|{_UNIT}(?:{_TOWN}?{_CODE})?|(?=,){_TOWN}{_CODE})"
)
"""A number and a name; then the kind of street, or a unit, or a town with its code."""
_OPEN = re.compile(
    r"[0-9](?<![0-9][0-9])[0-9]{0,4}(?:[A-Za-z]?(?:-[0-9]{0,5})?,?(?: (?:[A-Z0-9#][A-Za-z0-9'’.#\-]{0,25},?|o|of|t|th|the)){0,16} ?)?\Z"
)
_WINDOW = 176
_HEAD = re.compile(r"[0-9](?<![0-9][0-9])(?=[0-9]{0,4}[A-Za-z]?(?:-[0-9]{1,5})?,? [A-Z0-9])")
_CHINESE = re.compile(
    r"[0-9]{1,5}(?:-[0-9]{1,4})?(?:号|弄)(?:(?:院|楼)?[0-9A-Za-z]{0,4}(?:号楼|号院|栋|幢|座|单元|楼|层|室|号|弄)){0,4}"
)
_CHINESE_OPEN = re.compile(
    r"[0-9](?<![0-9][0-9])[0-9]{0,4}(?:-[0-9]{0,4})?(?:[号弄][0-9A-Za-z号楼院栋幢座单元层室弄]{0,40})?\Z"
)
_ROAD = re.compile(
    r"(?:[\u4e00-\u9fff]{2,7}?(?:省|自治区))?(?:[\u4e00-\u9fff]{2,6}?市)?(?:[\u4e00-\u9fff]{1,6}?[区县旗])?"
    r"(?:[\u4e00-\u9fff]{1,6}?(?:街道|镇|乡|村))?[\u4e00-\u9fff]{1,8}?(?:路|大街|街|大道|道|巷|胡同|里|弄|村|桥|园|小区)(?:[东西南北中]段?)?\Z"
)
_NOT_ADDRESS = re.compile(r"[在于到是为址寄住去往从自我你他她的了第至来给，。：:；、\s]")
_HAN_REACH = 32


class AddressDetector:
    """Finds street addresses in English order, with unit, town, and US or British code, and
    Chinese ones from the province or the road to the room.

    House numbers come first in English and last in Chinese; what may be hidden begins at the
    first digit. Does not catch: post boxes, addresses without a number, streets whose kind comes
    first or is part of a word ("Rue de Rivoli 12", "Hauptstraße 5"), countries.
    """

    name = "address"
    kinds = ("address",)
    languages = ("en", "zh")
    cost_us = 8
    window = _WINDOW
    wakes = ()
    is_numeric = True

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        floor = start
        chinese = not text.isascii()
        for head in (_ANY_HEAD if chinese else _HEAD).finditer(text, start):
            at = head.start()
            if at < floor:
                continue
            begin, end = _address_at(text, at, chinese=chinese)
            if end:
                yield Span("address", begin, end, 0.9, public=at - begin)
                floor = end

    def pending(self, text: str, start: int) -> int:
        at = max(start, len(text) - _WINDOW)
        runs = (_OPEN.search(text, at), _CHINESE_OPEN.search(text, at))
        return min((run.start() for run in runs if run), default=len(text))


_ANY_HEAD = re.compile(
    rf"{_HEAD.pattern}|[0-9](?<![0-9][0-9])(?=[0-9]{{0,4}}(?:-[0-9]{{1,4}})?[号弄])"
)


def _address_at(text: str, at: int, *, chinese: bool) -> tuple[int, int]:
    """Begin and end of the address whose first digit is at `at`; ends at 0 when there is none."""
    if chinese and (match := _CHINESE.match(text, at)):
        before = text[max(0, at - _HAN_REACH) : at]
        stops = [stop.end() for stop in _NOT_ADDRESS.finditer(before)]
        road = _ROAD.search(before, stops[-1] if stops else 0)
        if road:
            return at - len(before) + road.start(), match.end()
    before = text[at - 1 : at]
    if before and (before in "_-./$€£#" or (before.isascii() and before.isalnum())):
        return at, 0
    match = _STREET.match(text, at)
    return (at, match.end()) if match else (at, 0)
