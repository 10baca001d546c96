"""Amounts of money, shares and measures in English and Chinese text, with one way to write each.

`$3 million` is `3000000 USD`, 三百五十元 is `350 CNY`, 百分之五 is `5 %`. `$` is read as US dollars
and `¥` as yuan. Not covered: plain counts ("six units"), fractions, sums of two units ("5 ft 3 in").
"""

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation

from headrace.knowledge.entities.number import CHINESE, ENGLISH, chinese_number, plain

__all__ = ["amounts"]

_CURRENCY = {
    "$": "USD", "us$": "USD", "usd": "USD", "dollar": "USD", "美元": "USD", "美金": "USD",
    "€": "EUR", "eur": "EUR", "euro": "EUR", "欧元": "EUR", "£": "GBP", "gbp": "GBP",
    "pound sterling": "GBP", "英镑": "GBP", "¥": "CNY", "￥": "CNY", "cny": "CNY", "rmb": "CNY",
    "yuan": "CNY", "元": "CNY", "元人民币": "CNY", "人民币": "CNY", "块": "CNY", "块钱": "CNY",
    "元钱": "CNY", "yen": "JPY", "jpy": "JPY", "日元": "JPY", "hk$": "HKD", "hkd": "HKD",
    "港元": "HKD", "港币": "HKD", "chf": "CHF", "franc": "CHF", "瑞士法郎": "CHF", "inr": "INR",
    "rupee": "INR", "₹": "INR",
}  # fmt: skip
_MEASURE = {
    "km/h": "km/h", "公里/小时": "km/h", "km": "km", "kilometre": "km", "kilometer": "km",
    "公里": "km", "千米": "km", "m": "m", "metre": "m", "meter": "m", "米": "m", "cm": "cm",
    "centimetre": "cm", "centimeter": "cm", "厘米": "cm", "mm": "mm", "millimetre": "mm",
    "millimeter": "mm", "毫米": "mm", "mile": "mi", "英里": "mi", "feet": "ft", "inch": "in",
    "inches": "in", "kg": "kg", "kilogram": "kg", "kilo": "kg", "公斤": "kg", "千克": "kg",
    "g": "g", "gram": "g", "克": "g", "mg": "mg", "毫克": "mg", "ton": "t", "tonne": "t", "吨": "t",
    "lb": "lb", "斤": "jin", "l": "l", "litre": "l", "liter": "l", "升": "l", "ml": "ml",
    "毫升": "ml", "gallon": "gal", "m³": "m3", "m3": "m3", "立方米": "m3", "m²": "m2", "m2": "m2",
    "平方米": "m2", "hectare": "ha", "公顷": "ha", "kb": "KB", "mb": "MB", "gb": "GB", "tb": "TB",
    "kw": "kW", "kilowatt": "kW", "千瓦": "kW", "mw": "MW", "兆瓦": "MW", "kwh": "kWh",
    "千瓦时": "kWh", "w": "W", "watt": "W", "v": "V", "volt": "V", "bar": "bar", "mpa": "MPa",
    "兆帕": "MPa", "°c": "°C", "℃": "°C", "摄氏度": "°C", "°f": "°F", "second": "s", "秒": "s",
    "秒钟": "s", "ms": "ms", "毫秒": "ms", "minute": "min", "min": "min", "分钟": "min",
    "hour": "h", "小时": "h", "个小时": "h", "钟头": "h", "day": "d", "天": "d", "week": "wk",
    "周": "wk", "个星期": "wk", "month": "mo", "个月": "mo", "year": "a", "年": "a",
}  # fmt: skip
_SCALE = {
    "thousand": 10**3, "k": 10**3, "million": 10**6, "m": 10**6, "mn": 10**6, "billion": 10**9,
    "bn": 10**9, "trillion": 10**12, "万": 10**4, "亿": 10**8, "百万": 10**6, "千万": 10**7,
    "万亿": 10**12, "千": 10**3, "百": 100,
}  # fmt: skip
_FIGURE = r"(?P<n>\d{1,3}(?:,\d{3}){1,5}(?:\.\d{1,6})?|\d{1,15}(?:\.\d{1,6})?)"
_DIGITS = rf"(?<![A-Za-z\d_.,]){_FIGURE}"
_WORD = rf"(?<![\w.,])(?P<n>an?|{'|'.join(ENGLISH)})"
_COUNT = (
    rf"(?<![\w.,])(?P<n>{'|'.join(ENGLISH)})"  # "60 a minute" is a rate, "wait a second" a saying
)
_HAN = rf"(?<![{CHINESE}\d.第])(?P<n>[{CHINESE}]{{1,15}}|\d{{1,15}}(?:\.\d{{1,6}})?)"
_TIMES = r"thousand|million|billion|trillion|bn|mn|k|m"
_ZH_TIMES = "万亿|百万|千万|万|亿|千|百"


def _any(names: Iterable[str]) -> str:
    """Longest first; words with their plural."""
    words = sorted(names, key=len, reverse=True)
    return "|".join(re.escape(n) + ("s?" if n.isalpha() and len(n) > 2 else "") for n in words)


_LATIN = [name for name in _MEASURE if not re.search("[\u4e00-\u9fff]", name)]
_UNITS = _any(_LATIN)
_WORD_UNITS = _any(name for name in _LATIN if len(name) > 3)
_SIGNS = "|".join(map(re.escape, ("us$", "hk$", "$", "€", "£", "¥", "￥", "₹")))
_CODES = "usd|eur|gbp|cny|rmb|jpy|hkd|chf|inr"
_NAMED = "|".join(
    f"{name}s?" if len(name) > 3 else name
    for name in _CURRENCY
    if name.isascii() and name.isalpha()
)
# What goes on behind 元, 年, 天… as another word: 一元二次方程, 一年级, 两周年, 一克拉, 一天天.
_NOT_AFTER = {
    "元": "(?![二一三四]次|[素件旦首宵帅组月气勋凶老音化论])", "年": "(?![级代轻月初底内来])(?!前)(?!后)",
    "周": "(?!年|边|末|期|[一二三四五六日天])", "克": "(?![拉服隆制])", "天": "(?![天下空气然真才生])",
    "块": "(?!头|状)", "升": "(?!级|学|职|值)", "米": "(?![饭粥面])", "秒": "(?!杀)", "吨": "", "斤": "(?!两)",
}  # fmt: skip
_HAN_UNITS = "|".join(
    re.escape(name) + _NOT_AFTER.get(name, "")
    for name in sorted(
        {n for n in (*_CURRENCY, *_MEASURE) if re.match(r"[\u4e00-\u9fff℃]", n)} - {"人民币", "年"},
        key=len,
        reverse=True,
    )
)
_PATTERNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"(?<![A-Za-z\d_])(?P<unit>{_SIGNS}|(?:{_CODES}) ?) ?{_FIGURE}(?: ?(?P<times>{_TIMES})\b|(?P<zhtimes>{_ZH_TIMES}))?",
        rf"(?:{_DIGITS})(?: ?(?P<times>{_TIMES})\b)? ?(?P<unit>{_NAMED}|€|£|\$)(?![A-Za-z\d_])",
        rf"{_WORD} (?:(?P<times>thousand|million|billion) )?(?P<unit>{_NAMED})\b",
        rf"(?:{_DIGITS})(?P<unit> ?%| percent\b| per cent\b|个百分点)",
        rf"(?P<unit>百分之)(?P<n>[{CHINESE}]{{1,6}}|\d{{1,6}}(?:\.\d{{1,4}})?)",
        r"(?<![一二三四五六七八九第\d])(?P<n>[一二三四五六七八九])(?P<unit>成)(?![为本功员长立人年就语交])",
        rf"(?:{_DIGITS})(?: (?P<times>thousand|million|billion))? ?-?(?P<unit>{_UNITS})(?![A-Za-z\d_/])",
        rf"{_COUNT} (?:(?P<times>thousand|million|billion) )?(?P<unit>{_WORD_UNITS})\b",
        rf"{_HAN}(?P<times>{_ZH_TIMES})?多? ?(?P<unit>{_HAN_UNITS})",
        rf"{_HAN}(?P<unit>年){_NOT_AFTER['年']}",
    )
)  # fmt: skip
_NO_UNITS = ("M", "G", "K")
"""Of models, memory and money: 135M has nothing to do with metres."""
_YEARS = re.compile(r"\d{4}|[零〇一二三四五六七八九]{4}")


def amounts(text: str) -> Iterator[tuple[int, int, str]]:
    """Start, end and value of each amount; of two that begin at one place the longer is meant."""
    for pattern in _PATTERNS:
        for match in pattern.finditer(text):
            value = _value(match)
            if value:
                yield match.start(), match.end(), value


def _value(match: re.Match[str]) -> str:
    groups = match.groupdict()
    unit = _unit(groups["unit"].strip().lower())
    if (
        groups["unit"].strip() in _NO_UNITS
        or not unit
        or (unit == "a" and _YEARS.fullmatch(groups["n"]))
    ):
        return ""
    times = (groups.get("times") or groups.get("zhtimes") or "").lower()
    try:
        number = _number(groups["n"].lower()) * _SCALE.get(times, 1)
    except (InvalidOperation, ValueError):
        return ""
    return f"{plain(number)} {unit}" if unit != "成" else f"{plain(number * 10)} %"


def _unit(word: str) -> str:
    if word in ("%", "percent", "per cent", "百分之", "个百分点"):
        return "%"
    for name in (word, word.removesuffix("s")):
        found = _CURRENCY.get(name) or _MEASURE.get(name)
        if found:
            return found
    return word if word == "成" else ""


def _number(text: str) -> Decimal:
    if text[0] in CHINESE:
        return Decimal(chinese_number(text))
    if text in ("a", "an"):
        return Decimal(1)
    if text in ENGLISH:
        return Decimal(ENGLISH.index(text))
    return Decimal(text.replace(",", ""))
