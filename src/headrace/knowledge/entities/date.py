"""Dates in English and Chinese text, resolved against a day that is passed in.

"Next Friday" and 下周五 are the Friday of next week (weeks begin on Monday). Ranges, times of
day and a weekday alone are not covered.
"""

import calendar
import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta

from headrace.knowledge.entities.number import CHINESE, chinese_number

__all__ = ["dates"]

_DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_MONTHS = {name.lower(): at for at, name in enumerate(calendar.month_name) if name}
_WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
_M = "|".join(_MONTHS)
_N = rf"(\d{{1,3}}|a|an|{'|'.join(_WORDS)})"
_UNIT = r"(day|week|month|year)s?"
_C = rf"(\d{{1,3}}|[{CHINESE}]{{1,5}})(天|周|个星期|个月|年)"
_SHIFT = {"next": 1, "this": 0, "last": -1, "下": 1, "本": 0, "这": 0, "上": -1}
_NEAR = {
    "today": 0, "tomorrow": 1, "yesterday": -1, "今天": 0, "明天": 1, "后天": 2, "昨天": -1, "前天": -2
}  # fmt: skip
_CHINESE_UNIT = {"天": "day", "周": "week", "个星期": "week", "个月": "month", "年": "year"}
Found = re.Match[str]


def _count(text: str) -> int:
    if text in ("a", "an"):
        return 1
    return _WORDS.index(text) if text in _WORDS else chinese_number(text)


def _later(day: date, count: int, unit: str) -> date:
    if unit in ("day", "week"):
        return day + timedelta(days=count * (7 if unit == "week" else 1))
    months = day.year * 12 + day.month - 1 + count * (12 if unit == "year" else 1)
    year, month = divmod(months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _weekday(day: date, shift: str, weekday: int) -> date:
    return day + timedelta(days=7 * _SHIFT[shift] + weekday - day.weekday())


def _month_end(day: date) -> date:
    return day.replace(day=calendar.monthrange(day.year, day.month)[1])


_RULES: tuple[tuple[str, Callable[[Found, date], date]], ...] = (
    (r"\b(\d{4})-(\d{2})-(\d{2})\b", lambda m, _: date(int(m[1]), int(m[2]), int(m[3]))),
    (r"(?<!\d)(\d{4})年(\d{1,2})月(\d{1,2})[日号]",
     lambda m, _: date(int(m[1]), int(m[2]), int(m[3]))),
    (rf"\b({_M}) (\d{{1,2}}),? (\d{{4}})\b", lambda m, _: date(int(m[3]), _MONTHS[m[1]], int(m[2]))),
    (rf"\b(\d{{1,2}}) ({_M}) (\d{{4}})\b", lambda m, _: date(int(m[3]), _MONTHS[m[2]], int(m[1]))),
    (rf"\b(next|this|last) ({'|'.join(_DAYS)})\b",
     lambda m, d: _weekday(d, m[1], _DAYS.index(m[2]))),
    (r"([下本这上])(?:周|星期)([一二三四五六日天])",
     lambda m, d: _weekday(d, m[1], "一二三四五六日".index(m[2].replace("天", "日")))),
    (rf"\bin {_N} {_UNIT}\b", lambda m, d: _later(d, _count(m[1]), m[2])),
    (rf"\b{_N} {_UNIT} ago\b", lambda m, d: _later(d, -_count(m[1]), m[2])),
    (rf"{_C}[之以]?后", lambda m, d: _later(d, _count(m[1]), _CHINESE_UNIT[m[2]])),
    (rf"{_C}[之以]?前", lambda m, d: _later(d, -_count(m[1]), _CHINESE_UNIT[m[2]])),
    (r"\bend of the month\b|(?<!\d)(?<!个)(?<!上)(?<!下)月底", lambda _, d: _month_end(d)),
    (r"\b(?:today|tomorrow|yesterday)\b|今天|明天|后天|昨天|前天",
     lambda m, d: d + timedelta(days=_NEAR[m[0]])),
)  # fmt: skip
_COMPILED = [(re.compile(pattern, re.ASCII | re.IGNORECASE), make) for pattern, make in _RULES]


def dates(text: str, today: date) -> Iterator[tuple[int, int, date]]:
    """Start, end and day of each date; those that no calendar has are left out."""
    # ASCII letters only, so that offsets stay as they are.
    lowered = re.sub("[A-Z]+", lambda match: match[0].lower(), text)
    for pattern, make in _COMPILED:
        for match in pattern.finditer(lowered):
            try:
                yield match.start(), match.end(), make(match, today)
            except (ValueError, OverflowError):
                continue
