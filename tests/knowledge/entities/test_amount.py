"""Amounts have one value however they are written; what only looks like one has none."""

from datetime import UTC, date, datetime

import pytest

from headrace.knowledge.entities.amount import amounts
from headrace.knowledge.entities.date import dates
from headrace.knowledge.entities.hour import hours
from headrace.knowledge.entities.number import chinese_number

_TODAY = datetime(2026, 11, 25, tzinfo=UTC).date()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("三百五", 350),
        ("三百零五", 305),
        ("三百五十", 350),
        ("二〇二六", 2026),
        ("一万二", 12_000),
        ("一亿三", 130_000_000),
        ("三百万", 3_000_000),
        ("十五", 15),
        ("两千", 2000),
    ],
)
def test_chinese_numbers_are_read_as_they_are_said(text: str, value: int) -> None:
    assert chinese_number(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$3 million", "3000000 USD"),
        ("$1,250.00", "1250 USD"),
        ("1.2k euros", "1200 EUR"),
        ("USD 300", "300 USD"),
        ("3万元", "30000 CNY"),
        ("三百五十块钱", "350 CNY"),
        ("2.3亿元", "230000000 CNY"),
        ("一百万美元", "1000000 USD"),
        ("百分之十五", "15 %"),
        ("三成", "30 %"),
        ("80 km/h", "80 km/h"),
        ("120公里", "120 km"),
        ("4 °C", "4 °C"),
        ("two weeks", "2 wk"),
        ("十分钟", "10 min"),
    ],
)
def test_an_amount_has_a_value_and_a_unit(text: str, value: str) -> None:
    assert [(text[start:end], found) for start, end, found in amounts(text)] == [(text, value)]


@pytest.mark.parametrize(
    "text",
    [
        "一元二次方程",
        "多元化",
        "一年级",
        "千万不要",
        "我们十分感谢",
        "第三天",
        "version 2.0",
        "page 12",
    ],
)
def test_what_only_looks_like_an_amount_is_none(text: str) -> None:
    assert list(amounts(text)) == []


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("from December 1 to December 5", "2026-12-01/2026-12-05"),
        ("between 5 May and 7 May", "2027-05-05/2027-05-07"),
        ("March 5-7, 2026", "2026-03-05/2026-03-07"),
        ("12月1日至5日", "2026-12-01/2026-12-05"),
        ("12月1日至12月5日", "2026-12-01/2026-12-05"),
        ("see you on Monday", "2026-11-30"),
        ("周五见", "2026-11-27"),
        ("next month", "2026-12"),
        ("下个月", "2026-12"),
        ("上周", "2026-11-16/2026-11-22"),
        ("二〇二六年十月一日", "2026-10-01"),
        ("二〇二六年", "2026"),
        ("第三季度", "2026-07-01/2026-09-30"),
        ("in 1997", "1997"),
        ("年底", "2026-12-31"),
        ("on 12/25/2026", "2026-12-25"),
    ],
)
def test_a_stretch_of_time_has_a_beginning_and_an_end(text: str, days: str) -> None:
    assert [found for _, _, found in dates(text, _TODAY)] == [days]


@pytest.mark.parametrize(
    "text", ["closed on Mondays", "每周五", "01/02/2026", "两年", "March on!", "yesterday's paper"]
)
def test_what_names_no_one_day_is_no_date(text: str) -> None:
    assert list(dates(text, date(2026, 11, 25))) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("3 pm", ["15:00"]),
        ("12 am", ["00:00"]),
        ("9:30", ["09:30"]),
        ("noon", ["12:00"]),
        ("下午三点", ["15:00"]),
        ("上午九点半", ["09:30"]),
        ("18点", ["18:00"]),
        ("三点建议", []),
        ("12.30 euros", []),
        ("13 pm", []),
    ],
)
def test_a_time_of_day_needs_a_sign_of_one(text: str, found: list[str]) -> None:
    assert [each for _, _, each in hours(text)] == found
