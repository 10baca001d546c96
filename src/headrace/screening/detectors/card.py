"""Payment card numbers."""

import re
from collections.abc import Iterator

from headrace.screening.finding import Span

__all__ = ["CardDetector", "passes_luhn"]

_HEAD = re.compile(r"\d(?<!\d\d)(?=(?:[ .\-\u00a0]?\d){11})")
"""Twelve digits in a row or in groups: the least a card has."""
_RUN = re.compile(r"\d+")
_GROUPS = re.compile(r"\d{4}([ .\-\u00a0])\d{4,6}(?:\1\d{1,5}){1,3}(?!\d)")
_OPEN = re.compile(r"(?<!\d)\d++(?:[ .\-\u00a0]\d++)*+[ .\-\u00a0]?\Z")
_WINDOW = 24  # 19 digits, four separators, and the character behind them

_SHAPES = frozenset(
    {(4, 4, 4, 4), (4, 6, 5), (4, 6, 4), (4, 4, 4), (4, 4, 5), (4, 4, 4, 1), (4, 4, 4, 2)}
    | {(4, 4, 4, 3), (4, 4, 4, 4, 1), (4, 4, 4, 4, 2), (4, 4, 4, 4, 3)}
)
"""How cards are printed: digits per group."""

_ISSUERS: tuple[tuple[int, int, frozenset[int]], ...] = tuple(
    (low, high, frozenset(lengths))
    for low, high, lengths in (
        (400000, 499999, (13, 16, 19)),  # Visa
        (510000, 559999, (16,)),  # Mastercard
        (222100, 272099, (16,)),  # Mastercard, since 2017
        (340000, 349999, (15,)),  # American Express
        (370000, 379999, (15,)),
        (300000, 305999, range(14, 20)),  # Diners Club
        (360000, 369999, range(14, 20)),
        (380000, 399999, range(14, 20)),
        (352800, 358999, range(16, 20)),  # JCB
        (601100, 601199, range(16, 20)),  # Discover
        (644000, 659999, range(16, 20)),
        (620000, 629999, range(16, 20)),  # UnionPay
        (810000, 817199, range(16, 20)),
        (220000, 220499, range(16, 20)),  # Mir
        (500000, 509999, range(12, 20)),  # Maestro
        (560000, 589999, range(12, 20)),
        (600000, 699999, range(12, 20)),  # Maestro, RuPay
        (979200, 979299, (16,)),  # Troy
    )
)
"""First six digits and the number's length, from the issuers' public ranges."""


class CardDetector:
    """Finds numbers of 12 to 19 digits that some issuer gives out and whose check digit fits.

    Written in one piece, or in groups as on the card (4-4-4-4, 4-6-5 …) with one kind of
    separator. Does not catch: other groupings (pairs, single digits), numbers in words, numbers
    split over several sentences, security codes and expiry dates.
    """

    name = "card"
    kinds = ("card",)
    languages = ("any",)
    cost_us = 5
    window = _WINDOW
    wakes = ()
    is_numeric = True

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        floor = start
        for head in _HEAD.finditer(text, start):
            begin = head.start()
            run = _RUN.match(text, begin)
            if begin < floor or run is None:
                continue
            end = _card_end(text, begin, run.end())
            if end:
                yield Span("card", begin, end)
                floor = end

    def pending(self, text: str, start: int) -> int:
        if not text or not (text[-1].isdecimal() or text[-1] in " .-\u00a0"):
            return len(text)
        open_run = _OPEN.search(text, max(start, len(text) - _WINDOW))
        return open_run.start() if open_run else len(text)


def _card_end(text: str, begin: int, run_end: int) -> int:
    """Where the card number that begins here ends, the longest reading first; 0 for none."""
    if run_end - begin != 4:
        return run_end if 12 <= run_end - begin <= 19 and _is_card(text[begin:run_end]) else 0
    match = _GROUPS.match(text, begin)
    if match is None:
        return 0
    groups = match[0].split(match[1])
    for count in range(len(groups), 2, -1):
        shape = tuple(map(len, groups[:count]))
        if shape in _SHAPES and _is_card("".join(groups[:count])):
            return begin + sum(shape) + count - 1
    return 0


def _is_card(digits: str) -> bool:
    first = int(digits[:6])
    return any(
        low <= first <= high and len(digits) in lengths for low, high, lengths in _ISSUERS
    ) and passes_luhn(digits)


_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)


def passes_luhn(digits: str) -> bool:
    """ISO/IEC 7812-1 annex B: the last digit makes the weighted sum a multiple of ten."""
    values = [int(digit) for digit in reversed(digits)]
    return (sum(values[::2]) + sum(_DOUBLED[value] for value in values[1::2])) % 10 == 0
