"""Days and months as budgets count them: by the calendar of one time zone, UTC unless set."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

__all__ = ["Calendar", "Day"]


@dataclass(frozen=True, slots=True)
class Day:
    """One calendar day. Times are seconds since the epoch."""

    day: int
    """Number of the day (proleptic Gregorian ordinal)."""
    month: int
    """Number of its month: 12 × year + month - 1."""
    begins_at: float
    ends_at: float
    month_ends_at: float


class Calendar:
    """The day that a time falls on. Within one day, asking again costs two comparisons."""

    def __init__(self, zone: tzinfo = UTC) -> None:
        self.zone = zone
        self._day = self._find(0.0)

    def at(self, now: float) -> Day:
        day = self._day
        if not day.begins_at <= now < day.ends_at:
            day = self._day = self._find(now)
        return day

    def _find(self, now: float) -> Day:
        today = datetime.fromtimestamp(now, self.zone).date()
        after = date(today.year + today.month // 12, today.month % 12 + 1, 1)
        return Day(
            day=today.toordinal(),
            month=12 * today.year + today.month - 1,
            begins_at=self._midnight(today),
            ends_at=self._midnight(today + timedelta(days=1)),
            month_ends_at=self._midnight(after),
        )

    def _midnight(self, day: date) -> float:
        return datetime(day.year, day.month, day.day, tzinfo=self.zone).timestamp()
