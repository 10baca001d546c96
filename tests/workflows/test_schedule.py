"""The times of cron lines on wall clocks, also when the clocks are changed."""

import itertools
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.workflows.file import ScheduleFile
from headrace.workflows.schedule import next_time, times_between

ZURICH = ZoneInfo("Europe/Zurich")


def times(cron: str, zone: str, start: datetime, hours: int) -> list[datetime]:
    found = times_between(
        ScheduleFile(cron=cron, timezone=zone), start, start + timedelta(hours=hours)
    )
    return list(found)


def test_a_time_is_of_the_wall_clock_in_winter_and_summer() -> None:
    winter = times("0 3 * * *", "Europe/Zurich", datetime(2026, 1, 1, tzinfo=UTC), 24)
    summer = times("0 3 * * *", "Europe/Zurich", datetime(2026, 7, 1, tzinfo=UTC), 24)
    assert [each.hour for each in (*winter, *summer)] == [2, 1]


def test_a_time_that_is_left_out_comes_an_hour_later() -> None:
    [found] = times("30 2 * * *", "Europe/Zurich", datetime(2026, 3, 29, tzinfo=UTC), 20)
    assert found.astimezone(ZURICH).hour == 3


def test_a_time_that_comes_twice_is_taken_once() -> None:
    assert len(times("30 2 * * *", "Europe/Zurich", datetime(2026, 10, 25, tzinfo=UTC), 20)) == 1


@settings(max_examples=40)
@given(
    start=st.integers(1_735_689_600, 1_798_761_600),
    minutes=st.lists(st.integers(1, 2000), min_size=1, max_size=5),
    zone=st.sampled_from(["UTC", "Europe/Zurich", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe"]),
)  # fmt: skip
def test_times_do_not_depend_on_how_often_one_looks(
    start: int, minutes: list[int], zone: str
) -> None:
    schedule = ScheduleFile(cron="*/30 * * * *", timezone=zone)
    begin = datetime.fromtimestamp(start, UTC)
    edges = [begin]
    for each in minutes:
        edges.append(edges[-1] + timedelta(minutes=each))
    whole = list(times_between(schedule, begin, edges[-1]))
    parts = [t for a, b in itertools.pairwise(edges) for t in times_between(schedule, a, b)]
    assert whole == parts == sorted(set(whole))


def test_the_next_time_may_be_years_away_or_never() -> None:
    leap = next_time(ScheduleFile(cron="0 0 29 2 *"), datetime(2026, 1, 1, tzinfo=UTC))
    assert leap == datetime(2028, 2, 29, tzinfo=UTC)
