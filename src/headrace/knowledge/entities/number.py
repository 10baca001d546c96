"""Numbers as digits, English words or Chinese numerals write them."""

from decimal import Decimal

__all__ = ["CHINESE", "ENGLISH", "chinese_number", "english_number", "plain"]

_DIGITS = {char: value for value, char in enumerate("零一二三四五六七八九")} | {
    "〇": 0, "两": 2, "俩": 2,
}  # fmt: skip
_UNITS = {"十": 10, "百": 100, "千": 1000}
_GROUPS = {"万": 10**4, "亿": 10**8}
CHINESE = "零〇一二三四五六七八九两十百千万亿"
"""What Chinese numbers are written with."""
ENGLISH = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
    "twenty",
]
"""The words for 0 to 20."""


def english_number(text: str) -> int:
    """`a` and `an` are 1; digits are read as they are."""
    if text in ("a", "an"):
        return 1
    return ENGLISH.index(text) if text in ENGLISH else int(text)


def chinese_number(text: str) -> int:
    """三百万 is 3000000, 三百五 is 350, 二〇二六 is 2026; digits are read as they are."""
    if text.isascii():
        return int(text)
    if len(text) > 1 and all(char in _DIGITS for char in text):
        return int("".join(str(_DIGITS[char]) for char in text))
    total = section = digit = 0
    last = 1
    for char in text:
        if char in _DIGITS:
            digit = _DIGITS[char]
            # 三百零五 is 305: after a zero nothing is left out.
            last = last if digit else 1
        elif char in _UNITS:
            section += (digit or 1) * _UNITS[char]
            digit, last = 0, _UNITS[char]
        else:
            total = (total + section + digit or 1) * _GROUPS[char]
            section, digit, last = 0, 0, _GROUPS[char]
    # 三百五, 三万五: the last digit counts the next smaller unit.
    return total + section + (digit * last // 10 if last > 10 else digit)


def plain(value: Decimal) -> str:
    """Without exponent and trailing zeros."""
    text = f"{value:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
