"""Days and months: where they begin and end, in UTC and where clocks are changed."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.access.limits.calendar import Calendar
from headrace.access.limits.spend import Spend

ZONES = [
    "UTC",
    "Europe/Berlin",
    "Asia/Kolkata",
    "America/St_Johns",
    "Pacific/Apia",
    "Asia/Shanghai",
]


@given(
    now=st.floats(1_500_000_000, 2_500_000_000), zone=st.sampled_from(ZONES), later=st.floats(0, 1)
)
def test_a_day_is_that_of_the_zone_from_its_midnight_to_the_next(
    now: float, zone: str, later: float
) -> None:
    calendar = Calendar(ZoneInfo(zone))
    day = calendar.at(now)
    local = datetime.fromtimestamp(now, ZoneInfo(zone))
    assert (day.day, day.month) == (local.toordinal(), local.year * 12 + local.month - 1)
    assert day.begins_at <= now < day.ends_at <= day.month_ends_at
    within = day.begins_at + later * (day.ends_at - 0.001 - day.begins_at)
    assert calendar.at(within) == day
    assert calendar.at(day.ends_at).day > day.day
    assert calendar.at(day.month_ends_at).month == day.month + 1
    assert calendar.at(day.month_ends_at - 0.001).month == day.month


@pytest.mark.parametrize(
    ("date", "hours"), [((2026, 3, 29), 23), ((2026, 10, 25), 25), ((2026, 5, 1), 24)]
)
def test_a_day_on_which_clocks_change_has_other_than_24_hours(
    date: tuple[int, int, int], hours: int
) -> None:
    noon = datetime(*date, 12, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
    day = Calendar(ZoneInfo("Europe/Berlin")).at(noon)
    assert day.ends_at - day.begins_at == hours * 3600


def test_utc_is_what_a_calendar_has_unless_told_otherwise() -> None:
    day = Calendar().at(datetime(2026, 12, 31, 23, 59, tzinfo=UTC).timestamp())
    assert day.ends_at == day.month_ends_at == datetime(2027, 1, 1, tzinfo=UTC).timestamp()


def test_a_clock_set_back_over_midnight_finds_what_it_had_counted() -> None:
    spend = Spend("s")
    spend.add(10, 4.0)
    spend.add(11, 1.0)
    assert (spend.spent(10), spend.spent(11)) == (4.0, 1.0)
    spend.add(900, 7.0)
    spend.add(12, 2.0)
    spend.add(13, 3.0)
    assert [spend.spent(each) for each in (12, 13, 900)] == [2.0, 3.0, 7.0]


def test_nobody_is_owed_money() -> None:
    spend = Spend("s")
    spend.add(1, 0.1)
    spend.add(1, 0.2)
    spend.add(1, -0.3)
    spend.add(1, -0.1)
    assert spend.spent(1) == 0.0
