"""International bank account numbers."""

import re
from collections.abc import Iterator

from headrace.screening.finding import Span

__all__ = ["IbanDetector"]

_LENGTHS = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22,
    "BI": 27, "BR": 29, "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27,
    "DK": 18, "DO": 28, "EE": 20, "EG": 29, "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27,
    "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28, "HN": 28, "HR": 21, "HU": 28,
    "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20, "LB": 28,
    "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22,
    "MK": 19, "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23,
    "PK": 24, "PL": 28, "PS": 29, "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24,
    "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24, "SM": 27, "SO": 23, "ST": 25, "SV": 28,
    "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20, "YE": 30,
}  # fmt: skip
"""Characters per country, from the SWIFT IBAN registry."""

_SEPARATORS = " -\u00a0"
_RUN = re.compile(r"\d(?<=[A-Za-z]{2}\d)(?=\d)")
_COUNTRY = re.compile(r"(?<![A-Za-z0-9])(?:[A-Z]{2}|[a-z]{2})")
_OPEN = re.compile(
    r"(?<![A-Za-z0-9])(?:[A-Z]{2}|[a-z]{2})\d"
    r"(?:\d(?:[ \-\u00a0]?[A-Za-z0-9])*+[ \-\u00a0]?)?\Z"
)
_WINDOW = 68  # 33 letters and digits, a separator after each, and what follows


class IbanDetector:
    """Finds account numbers of a known country, with its length and check digits (mod 97).

    In one piece or with single spaces or hyphens; country in capitals or all small. Does not
    catch: account numbers without country and check digits (BBAN), or broken over lines.
    """

    name = "iban"
    kinds = ("iban",)
    languages = ("any",)
    cost_us = 6
    window = _WINDOW
    wakes = ()
    is_numeric = True

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        floor = start
        for run in _RUN.finditer(text, start):
            begin = run.start() - 2
            if begin + 2 < floor or begin < 0 or not _COUNTRY.match(text, begin):
                continue
            end = _iban_end(text, begin)
            if end:
                yield Span("iban", begin, end, public=2)
                floor = end

    def pending(self, text: str, start: int) -> int:
        size = len(text)
        if not size or not (text[-1].isalnum() or text[-1] in _SEPARATORS):
            return size
        at = max(0, start - 2, size - _WINDOW)
        while run := _OPEN.search(text, at):
            begin = run.start()
            length = _LENGTHS.get(text[begin : begin + 2].upper(), 0)
            seen = sum(char not in _SEPARATORS for char in run[0])
            if begin + 2 >= start and (
                seen < length or (seen == length and text[-1] not in _SEPARATORS)
            ):
                return begin + 2
            at = begin + 1
        return size


def _iban_end(text: str, begin: int) -> int:
    """Where the IBAN that begins here ends; 0 when it is none."""
    length = _LENGTHS.get(text[begin : begin + 2].upper())
    if length is None:
        return 0
    letters: list[str] = []
    at = begin
    while len(letters) < length:
        char = text[at : at + 1]
        if char in _SEPARATORS and char and text[at - 1] not in _SEPARATORS:
            at += 1
            continue
        if not (char.isascii() and char.isalnum()):
            return 0
        letters.append(char)
        at += 1
    if text[at : at + 1].isascii() and text[at : at + 1].isalnum():
        return 0
    return at if _remainder("".join(letters)) == 1 else 0


def _remainder(iban: str) -> int:
    """ISO 13616: the first four characters behind the rest, letters as 10 to 35, modulo 97."""
    return int("".join(str(int(char, 36)) for char in iban[4:] + iban[:4])) % 97
