"""When a workflow runs by itself: the times of a cron line on the wall clocks of a time zone.

Across a change to or from summer time, a time that does not exist is taken an hour later, and one
that comes twice is taken once (at its first coming).
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from headrace.workflows.file import ScheduleFile

__all__ = ["MOST_CAUGHT_UP", "ScheduleWrong", "next_time", "times_between"]

MOST_CAUGHT_UP = 1000
"""Times that `catch_up: all` makes up for; the latest ones, should there be more."""
_FIELDS = 5


class ScheduleWrong(ValueError):
    """A schedule that never ticks; `field` says what is wrong with it."""

    def __init__(self, message: str, field: str, hint: str) -> None:
        super().__init__(message)
        self.field = field
        self.hint = hint


def times_between(schedule: ScheduleFile, after: datetime, until: datetime) -> Iterator[datetime]:
    """The times after one moment and up to another, in UTC, earliest first.

    Raises:
        ScheduleWrong: the cron line or the time zone cannot be read.
    """
    zone = _zone(schedule.timezone)
    ticks = _ticks(schedule.cron, after.astimezone(zone).replace(tzinfo=None, fold=0) - _HOURS)
    last: datetime | None = None
    for wall in ticks:
        moment = wall.replace(tzinfo=zone).astimezone(UTC)
        if moment > until:
            return
        if moment > after and (last is None or moment > last):
            yield moment
            last = moment


def next_time(schedule: ScheduleFile, after: datetime) -> datetime | None:
    """The first time after a moment; None: there is none within five years."""
    return next(times_between(schedule, after, after + timedelta(days=5 * 366)), None)


_HOURS = timedelta(hours=3)
"""Wall clocks may go back by as much; what is too early is left out again."""


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ScheduleWrong(
            f"{name!r} is no time zone", "timezone", "a name such as `Europe/Zurich` or `UTC`"
        ) from None


def _ticks(cron: str, start: datetime) -> Iterator[datetime]:
    from croniter import croniter
    from croniter.croniter import CroniterError

    if len(cron.split()) != _FIELDS:
        raise ScheduleWrong(
            f"{cron!r} has not five fields",
            "cron",
            "minute, hour, day, month, day of the week: `0 3 * * mon`",
        )
    try:
        # In naive wall-clock time: the zone is applied to what it gives.
        ticks = croniter(cron, start, ret_type=datetime)
        while True:
            yield ticks.get_next()
    except CroniterError as error:
        raise ScheduleWrong(
            f"{cron!r} is no cron line: {error}", "cron", "such as `0 3 * * mon`"
        ) from None
