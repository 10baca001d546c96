"""Numbers as English digits or Chinese numerals write them."""

__all__ = ["CHINESE", "chinese_number"]

_DIGITS = {char: value for value, char in enumerate("零一二三四五六七八九")} | {"两": 2}
_UNITS = {"十": 10, "百": 100, "千": 1000}
_GROUPS = {"万": 10**4, "亿": 10**8}
CHINESE = "零一二三四五六七八九两十百千万亿"


def chinese_number(text: str) -> int:
    """三百万 is 3000000; digits are read as they are."""
    if text.isascii():
        return int(text)
    total = section = digit = 0
    for char in text:
        if char in _DIGITS:
            digit = _DIGITS[char]
        elif char in _UNITS:
            section += (digit or 1) * _UNITS[char]
            digit = 0
        else:
            total = (total + section + digit or 1) * _GROUPS[char]
            section = digit = 0
    return total + section + digit
