"""Dates in English and Chinese text, resolved against a day that is passed in.

What is found is written as ISO 8601 does: a day (2026-12-04), a month (2026-12), a year (2026), or
from/to. Conventions where people differ: weeks begin on Monday, "next Friday" and 下周五 are the
Friday of next week, a weekday alone is the coming one, a day without a year is the nearest one, and
a month alone too. Not covered: recurring dates ("every Monday"), "last Friday of May", holidays,
01/02/2026 (it means two days), weekdays in the past tense.
"""

import calendar
import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta

from headrace.knowledge.entities.number import CHINESE, ENGLISH, chinese_number, english_number

__all__ = ["dates"]

_DAYS = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
_MONTHS = {name.lower(): at for at, name in enumerate(calendar.month_name) if name}
_MONTHS |= {name[:3]: at for name, at in _MONTHS.items()} | {"sept": 9}
_M = "|".join(sorted(_MONTHS, key=len, reverse=True))
_M = rf"({_M})\.?"
_D = r"(\d{1,2})(?:st|nd|rd|th)?"
_N = rf"(\d{{1,3}}|an?|{'|'.join(ENGLISH)})"
_Y = (
    r"(?:(?<=in )|(?<=of )|(?<=for )|(?<=since )|(?<=until )|(?<=before )|(?<=after ))"
    r"(1[5-9]\d\d|20\d\d)(?![\w%€,.:/-]\w| ?[%€]| (?:met|lit)(?:re|er)s| people| euros| dollars| k[mg])\b"
)
_UNIT = r"(day|week|month|year)s?"
_SHIFT = {"next": 1, "coming": 1, "this": 0, "last": -1, "previous": -1}
_SHIFT |= {"下下": 2, "下": 1, "本": 0, "这": 0, "上": -1, "上上": -2}
_WORDS = {
    "today": 0, "tonight": 0, "tomorrow": 1, "yesterday": -1, "the day after tomorrow": 2,
    "the day before yesterday": -2, "last night": -1, "this morning": 0, "this afternoon": 0,
    "this evening": 0, "今天": 0, "今日": 0, "今晚": 0, "今早": 0, "明天": 1, "明日": 1, "明晚": 1,
    "明早": 1, "后天": 2, "大后天": 3, "昨天": -1, "昨日": -1, "昨晚": -1, "前天": -2, "大前天": -3,
}  # fmt: skip
_YEARS = {"今年": 0, "明年": 1, "后年": 2, "去年": -1, "前年": -2}
_ZH_UNIT = {"天": "day", "周": "week", "个星期": "week", "星期": "week", "个礼拜": "week",
            "个月": "month", "年": "year"}  # fmt: skip
_ZN = rf"(?<![{CHINESE}\d])(\d{{1,3}}|[{CHINESE}]{{1,5}})"
_ZC = rf"(?:{_ZN}(天|周|个?星期|个礼拜|个月|年)|(半)年)"
_ZY = r"(?<![\d零〇一二三四五六七八九])(\d{4}|[零〇一二三四五六七八九]{4})年"
_ZD = r"(\d{1,2}|[一二三四五六七八九十]{1,3})"
_ZW = r"(?:周|星期|礼拜)([一二三四五六日天])(?!年|个|次)"
_ZS = r"(下下|上上|[下本这上])个?"
Found = re.Match[str]
Span = tuple[date, date]


def _later(day: date, count: int, unit: str) -> date:
    if unit in ("day", "week"):
        return day + timedelta(days=count * (7 if unit == "week" else 1))
    months = day.year * 12 + day.month - 1 + count * (12 if unit == "year" else 1)
    year, month = divmod(months, 12)
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def _one(day: date) -> Span:
    return day, day


def _month(year: int, month: int) -> Span:
    return date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1])


def _year(year: int) -> Span:
    return date(year, 1, 1), date(year, 12, 31)


def _quarter(year: int, quarter: int) -> Span:
    year, month = year + (quarter - 1) // 4, (quarter - 1) % 4 * 3
    return date(year, month + 1, 1), _month(year, month + 3)[1]


def _week(day: date, shift: int) -> Span:
    monday = day + timedelta(days=7 * shift - day.weekday())
    return monday, monday + timedelta(days=6)


def _weekday(day: date, shift: int, weekday: int) -> Span:
    return _one(_week(day, shift)[0] + timedelta(days=weekday))


def _coming(day: date, weekday: int) -> Span:
    return _one(day + timedelta(days=(weekday - day.weekday() - 1) % 7 + 1))


def _weekend(day: date, shift: int) -> Span:
    end = _week(day, shift)[1]
    return end - timedelta(days=1), end


def _nearest(day: date, month: int, number: int) -> Span:
    found = (
        date(year, month, number)
        for year in (day.year - 1, day.year, day.year + 1)
        if number <= calendar.monthrange(year, month)[1]
    )
    return _one(min(found, key=lambda each: abs(each - day)))


def _nearest_month(day: date, month: int) -> Span:
    return _month(_nearest(day, month, 15)[0].year, month)


def _unit_of(day: date, shift: int, unit: str) -> Span:
    if unit == "week":
        return _week(day, shift)
    if unit == "weekend":
        return _weekend(day, shift)
    if unit == "month":
        start = _later(day, shift, "month")
        return _month(start.year, start.month)
    if unit == "quarter":
        return _quarter(day.year, (day.month - 1) // 3 + 1 + shift)
    return _year(day.year + shift)


def _edge(day: date, shift: int, unit: str, side: str) -> Span:
    start, end = _unit_of(day, shift, unit)
    return _one(end if side in ("end", "底", "末") else start)


def _han(text: str) -> int:
    return chinese_number(text)


def _zh_weekday(text: str) -> int:
    return "一二三四五六日".index(text.replace("天", "日"))


def _zh_shift(m: Found, d: date, sign: int) -> Span:
    if m[3]:
        return _one(_later(d, 6 * sign, "month"))
    return _one(_later(d, sign * _han(m[1]), _ZH_UNIT[m[2]]))


def _zh_year(text: str | None, d: date) -> int | None:
    if not text:
        return None
    return d.year + _YEARS[text] if text in _YEARS else _han(text)


def _slashes(m: Found) -> Span:
    first, second, year = int(m[1]), int(m[2]), int(m[3])
    if first > 12:
        return _one(date(year, second, first))
    if second > 12 or first == second:
        return _one(date(year, first, second))
    raise ValueError("it means two days")


Rule = Callable[[Found, date], Span]
_RULES: tuple[tuple[str, str, Rule], ...] = (
    # A pattern, what a text must hold for it to be tried, and what it means.
    (r"\b(\d{4})-(\d{2})-(\d{2})\b", "-", lambda m, _: _one(date(int(m[1]), int(m[2]), int(m[3])))),
    (r"\b(\d{1,2})/(\d{1,2})/(\d{4})\b", "/", lambda m, _: _slashes(m)),
    (rf"\b{_M} {_D},? (\d{{4}})\b", "", lambda m, _: _one(date(int(m[3]), _MONTHS[m[1]], int(m[2])))),
    (rf"\b{_D} (?:of )?{_M},? (\d{{4}})\b", "",
     lambda m, _: _one(date(int(m[3]), _MONTHS[m[2]], int(m[1])))),
    (rf"\b{_M} {_D} ?(?:-|–|to) ?{_D},? (\d{{4}})\b", "",
     lambda m, _: (date(int(m[4]), _MONTHS[m[1]], int(m[2])), date(int(m[4]), _MONTHS[m[1]], int(m[3])))),
    (rf"\b{_D} ?(?:-|–|to) ?{_D} {_M} (\d{{4}})\b", "",
     lambda m, _: (date(int(m[4]), _MONTHS[m[3]], int(m[1])), date(int(m[4]), _MONTHS[m[3]], int(m[2])))),
    (rf"\b{_M} {_D}(?!\d|,? \d{{4}}|[%.,]\d)\b", "", lambda m, d: _nearest(d, _MONTHS[m[1]], int(m[2]))),
    (rf"\b{_D} (?:of )?{_M}(?! \d{{4}})\b", "", lambda m, d: _nearest(d, _MONTHS[m[2]], int(m[1]))),
    (rf"\b{_M},? (\d{{4}})\b", "", lambda m, _: _month(int(m[2]), _MONTHS[m[1]])),
    (rf"(?<=\bin )(?:early |late )?{_M}(?! ?\d|\w)", "", lambda m, d: _nearest_month(d, _MONTHS[m[1]])),
    (rf"\b{_Y}", "", lambda m, _: _year(int(m[1]))),
    (r"\bq([1-4])(?: (?:of )?(\d{4}))?\b", "q", lambda m, d: _quarter(int(m[2] or d.year), int(m[1]))),
    (rf"\b(next|this|last|coming|previous) ({'|'.join(_DAYS)})\b", "",
     lambda m, d: _weekday(d, _SHIFT[m[1]], _DAYS.index(m[2]))),
    (rf"(?<!every )(?<!each )\b({'|'.join(_DAYS)})\b", "day",
     lambda m, d: _coming(d, _DAYS.index(m[1]))),
    (r"\b(next|this|last|coming|previous) (week|weekend|month|quarter|year)\b", "",
     lambda m, d: _unit_of(d, _SHIFT[m[1]], m[2])),
    (r"\b(?:the )?(end|beginning|start) of (?:the|(this|next|last)) (week|month|quarter|year)\b",
     " of ", lambda m, d: _edge(d, _SHIFT[m[2] or "this"], m[3], m[1])),
    (rf"\bin {_N} {_UNIT}\b", "in ", lambda m, d: _one(_later(d, english_number(m[1]), m[2]))),
    (rf"\b{_N} {_UNIT} (ago|from (?:now|today))\b", "",
     lambda m, d: _one(_later(d, english_number(m[1]) * (-1 if m[3] == "ago" else 1), m[2]))),
    (r"\b(?:" + "|".join(sorted((w for w in _WORDS if w.isascii()), key=len, reverse=True)) + r")\b(?!'s)",
     "", lambda m, d: _one(d + timedelta(days=_WORDS[m[0]]))),
)  # fmt: skip
_HAN_RULES: tuple[tuple[str, str, Rule], ...] = (
    (rf"{_ZY}{_ZD}月{_ZD}[日号]", "年", lambda m, _: _one(date(_han(m[1]), _han(m[2]), _han(m[3])))),
    (rf"{_ZY}{_ZD}月(?!{_ZD}[日号])", "年", lambda m, _: _month(_han(m[1]), _han(m[2]))),
    (rf"{_ZY}(?!\d|[一二三四五六七八九十]{{1,3}}月|底|初|末|后|前)", "年", lambda m, _: _year(_han(m[1]))),
    (rf"(今年|明年|后年|去年|前年){_ZD}月(?:{_ZD}[日号])?", "年",
     lambda m, d: _one(date(_zh_year(m[1], d) or 0, _han(m[2]), _han(m[3]))) if m[3]
     else _month(_zh_year(m[1], d) or 0, _han(m[2]))),
    (r"(今年|明年|后年|去年|前年)(?![\d一二三四五六七八九十]{1,2}月|[底初末])", "年",
     lambda m, d: _year(d.year + _YEARS[m[1]])),
    (r"(今年|明年|去年)?年?([底初末])(?<=年[底初末])", "年",
     lambda m, d: _edge(d, _YEARS[m[1] or "今年"], "year", m[2])),
    (rf"(?<![年\d一二三四五六七八九十]){_ZD}月{_ZD}[日号]?(?:到|至|-|—|~|～){_ZD}[日号]", "月",
     lambda m, d: (_nearest(d, _han(m[1]), _han(m[2]))[0], _nearest(d, _han(m[1]), _han(m[3]))[0])),
    (rf"(?<![年\d一二三四五六七八九十]){_ZD}月{_ZD}[日号]", "月", lambda m, d: _nearest(d, _han(m[1]), _han(m[2]))),
    (rf"(?<![年\d一二三四五六七八九十个]){_ZD}月份?(?![\d一二三四五六七八九十底初]|饼|亮|光|球)", "月",
     lambda m, d: _nearest_month(d, _han(m[1]))),
    (rf"{_ZS}月(?:{_ZD}[日号])", "月",
     lambda m, d: _one(_unit_of(d, _SHIFT[m[1]], "month")[0].replace(day=_han(m[2])))),
    (rf"{_ZS}月(?![底初末\d])", "月", lambda m, d: _unit_of(d, _SHIFT[m[1]], "month")),
    (r"(?<![\d一二三四五六七八九十个])(?:([下本这上])个?)?月([底初末])", "月",
     lambda m, d: _edge(d, _SHIFT[m[1] or "本"], "month", m[2])),
    (rf"{_ZS}{_ZW}", "", lambda m, d: _weekday(d, _SHIFT[m[1]], _zh_weekday(m[2]))),
    (rf"(?<![下本这上每一二三四五六七八九十两\d个]){_ZW}", "", lambda m, d: _coming(d, _zh_weekday(m[1]))),
    (rf"{_ZS}(?:周|星期|礼拜)(?![一二三四五六日天末])", "", lambda m, d: _week(d, _SHIFT[m[1]])),
    (r"([下本这上])?个?周末", "周末", lambda m, d: _weekend(d, _SHIFT[m[1] or "本"])),
    (r"(?:(今年|明年|去年))?第?([一二三四1-4])季度", "季度",
     lambda m, d: _quarter(d.year + _YEARS[m[1] or "今年"], _han(m[2]))),
    (rf"{_ZS}季度", "季度", lambda m, d: _unit_of(d, _SHIFT[m[1]], "quarter")),
    (rf"{_ZC}[之以]?后", "后", lambda m, d: _zh_shift(m, d, 1)),
    (rf"{_ZC}[之以]?前", "前", lambda m, d: _zh_shift(m, d, -1)),
    ("|".join(sorted((w for w in _WORDS if not w.isascii()), key=len, reverse=True)), "",
     lambda m, d: _one(d + timedelta(days=_WORDS[m[0]]))),
)  # fmt: skip
_COMPILED = [(re.compile(pattern, re.ASCII), needs, make) for pattern, needs, make in _RULES]
_HAN_COMPILED = [(re.compile(pattern), needs, make) for pattern, needs, make in _HAN_RULES]
_HAN_TEXT = re.compile("[\u4e00-\u9fff]")
_LETTER = re.compile("[a-z0-9]")
_JOIN = re.compile(r" ?(?:-|–|—|~|～|至|到|to|until|till|through) ?")
_AND = re.compile(r" and ")


def dates(text: str, today: date) -> Iterator[tuple[int, int, str]]:
    """Start, end and day or days of each date; those that no calendar has are left out."""
    # ASCII letters only, so that offsets stay as they are.
    lowered = re.sub("[A-Z]+", lambda match: match[0].lower(), text)
    found = [*_matches(lowered, today)]
    found.sort(key=lambda each: (each[0], -each[1]))
    apart: list[tuple[int, int, Span]] = []
    for each in found:
        if not apart or each[0] >= apart[-1][1]:
            apart.append(each)
    at = 0
    while at < len(apart):
        start, end, span = apart[at]
        at += 1
        if at < len(apart) and _joined(lowered, apart[at - 1], apart[at]):
            end, span = apart[at][1], (span[0], apart[at][2][1])
            at += 1
        yield start, end, _iso(span)


def _matches(lowered: str, today: date) -> Iterator[tuple[int, int, Span]]:
    rules = [*_COMPILED] if _LETTER.search(lowered) else []
    if _HAN_TEXT.search(lowered):
        rules += _HAN_COMPILED
    for pattern, needs, make in rules:
        if needs not in lowered:
            continue
        for match in pattern.finditer(lowered):
            try:
                yield match.start(), match.end(), make(match, today)
            except (ValueError, OverflowError):
                continue


def _joined(text: str, first: tuple[int, int, Span], second: tuple[int, int, Span]) -> bool:
    """Whether these are the two ends of one stretch of time."""
    between = text[first[1] : second[0]]
    if first[2][1] > second[2][0]:
        return False
    if _AND.fullmatch(between):
        return text[: first[0]].endswith("between ")
    return bool(_JOIN.fullmatch(between))


def _iso(span: Span) -> str:
    start, end = span
    if start == end:
        return start.isoformat()
    if span == _year(start.year):
        return f"{start.year:04}"
    if span == _month(start.year, start.month):
        return f"{start.year:04}-{start.month:02}"
    return f"{start.isoformat()}/{end.isoformat()}"
