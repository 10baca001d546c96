"""Telephone numbers."""

import re
from collections.abc import Iterator
from functools import cache

from phonenumbers import COUNTRY_CODE_TO_REGION_CODE, PhoneMetadata

from headrace.screening.finding import Span

__all__ = ["PhoneDetector"]

_GAP = r"[ \-./()\u00a0]"
_DASH = r"[ \-.\u00a0]"
_CANDIDATE = re.compile(
    r"(?<![A-Za-z0-9_+#$€£¥])(?<!\d[\-./,:])(?:"
    rf"(?P<world>(?:\+|00(?=[1-9]))\d(?:{_GAP}{{0,2}}\d){{6,14}}+)"
    rf"|(?P<us>(?:1{_DASH})?(?:\([2-9]\d\d\){_DASH}?|[2-9]\d\d{_DASH})[2-9]\d\d{_DASH}\d{{4}})"
    rf"|(?P<cn>1[3-9]\d{_DASH}?\d{{4}}{_DASH}?\d{{4}}|\(0\d{{2,3}}\) ?\d{{7,8}}|0\d{{2,3}}[\- ]\d{{7,8}})"
    rf"|(?P<gb>(?:\(0\d{{2,4}}\)|0\d{{2,4}}) ?\d{{3,4}}[ \-]?\d{{3,4}}|0\d{{4}} ?\d{{5}})"
    r"|(?P<bare>[2-9]\d\d[2-9]\d{6})"
    r")(?![A-Za-z0-9_])(?![\-./]\d)"
)
_OPEN = re.compile(r"(?<![A-Za-z0-9_])[+(]?(?:\d[\d \-./()\u00a0]*+)?\Z")
_WINDOW = 48
_HEAD = re.compile(r"[+(]?\d+")
_NOT_DIGIT = re.compile(r"\D+")
_SAYS_PHONE = re.compile(
    r"(?i)(?:\b(?:phone|tel|telephone|mobile|cell|call|text|whatsapp|fax|sms)|电话|手机|号码|联系)"
    r"[^\d\n]{0,16}\Z"
)
_NUMBER_KINDS = (
    *("fixed_line", "mobile", "toll_free", "premium_rate", "shared_cost"),
    *("personal_number", "voip", "pager", "uan", "voicemail"),
)
_COMMON_CODES = (1, 44, 86, 7, 33, 34, 39, 49, 52, 55, 81, 82, 91)
"""Compiled at load (25 ms); compiling all takes 70 ms, and any of the others at most 2 on first use."""
_NANP = re.compile(r"(?!.11)[2-9]\d\d(?!.11)[2-9]\d{6}")


class PhoneDetector:
    """Finds international numbers of any country, and national ones of the US, UK and China.

    A candidate by shape is checked against libphonenumber's numbering plans. Ten digits in one
    piece count only shortly behind a word such as "call" or "phone". Does not catch: national
    formats of other countries, short codes, extensions, numbers in words, local numbers without
    area code.
    """

    name = "phone"
    kinds = ("phone",)
    languages = ("any",)
    cost_us = 32
    window = _WINDOW
    wakes = ()
    is_numeric = True

    def __init__(self) -> None:
        # Here, at load: on the path it would read files and compile long patterns.
        for code in COUNTRY_CODE_TO_REGION_CODE:
            _plan(code)
        for code in _COMMON_CODES:
            _pattern(code)

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        floor = start
        for head in _HEAD.finditer(text, start):
            for begin in (head.start(), head.start() + 1) if head[0][0] == "(" else (head.start(),):
                match = _CANDIDATE.match(text, begin) if begin >= floor else None
                end = _phone_end(match) if match is not None else 0
                if end:
                    yield Span("phone", begin, end)
                    floor = end
                    break

    def pending(self, text: str, start: int) -> int:
        if not text or not (text[-1].isdecimal() or text[-1] in "+ -./()\u00a0"):
            return len(text)
        run = _OPEN.search(text, max(start, len(text) - _WINDOW))
        return run.start() if run else len(text)


def _phone_end(match: re.Match[str]) -> int:
    """Where the number that begins here ends; 0 when no numbering plan has it."""
    if match["world"]:
        return _world_end(match)
    digits = _NOT_DIGIT.sub("", match[0])
    if match["us"]:
        found = _NANP.fullmatch(digits[-10:]) is not None
    elif match["cn"]:
        found = _is_planned(86, digits.removeprefix("0"))
    elif match["gb"]:
        found = _is_planned(44, digits[1:])
    else:
        before = max(0, match.start() - 32)
        found = (
            _NANP.fullmatch(digits) is not None
            and _SAYS_PHONE.search(match.string, before, match.start()) is not None
        )
    return match.end() if found else 0


def _world_end(match: re.Match[str]) -> int:
    """An international number may be followed by another number: leave off up to two groups."""
    written = match[0]
    for _ in range(3):
        digits = _NOT_DIGIT.sub("", written)
        digits = digits[2:] if written.startswith("00") else digits
        for size in (1, 2, 3):
            code = int(digits[:size])
            if code in COUNTRY_CODE_TO_REGION_CODE:
                national = digits[size:]
                if _is_planned(code, national) or _is_planned(code, national.removeprefix("0")):
                    return match.start() + len(written)
        shorter = re.match(r"(.*\d)\D+\d+\Z", written)
        if shorter is None:
            break
        written = shorter[1]
    return 0


def _is_planned(code: int, national: str) -> bool:
    return _pattern(code).fullmatch(national) is not None


@cache
def _pattern(code: int) -> re.Pattern[str]:
    return re.compile(_plan(code), re.ASCII)


@cache
def _plan(code: int) -> str:
    """Every kind of number under a calling code, as one pattern over the national digits."""
    patterns: set[str] = set()
    for region in COUNTRY_CODE_TO_REGION_CODE[code]:
        metadata = (
            PhoneMetadata.metadata_for_nongeo_region(code)
            if region == "001"
            else PhoneMetadata.metadata_for_region(region)
        )
        for name in _NUMBER_KINDS:
            description = getattr(metadata, name)
            if description is not None and description.national_number_pattern:
                patterns.add(description.national_number_pattern)
    return "|".join(sorted(patterns))
