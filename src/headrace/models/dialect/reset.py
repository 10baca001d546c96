"""Times in response headers, as seconds from now."""

import math
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["count_of", "retry_after_s", "seconds_until"]


def retry_after_s(headers: Mapping[str, str], now: float) -> float | None:
    """`Retry-After`, which is a number of seconds or a date (RFC 9110, section 10.2.3).

    Args:
        headers: by lower-case name.
        now: Unix time.
    """
    value = headers.get("retry-after", "").strip()
    with suppress(ValueError):
        # No number: a date, then.
        seconds = float(value)
        return max(0.0, seconds) if math.isfinite(seconds) else None
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    return _from(at, now)


def seconds_until(timestamp: str | None, now: float) -> float | None:
    """Until an RFC 3339 time; None where it is absent or unreadable, 0 when it has passed."""
    if not timestamp:
        return None
    try:
        at = datetime.fromisoformat(timestamp)
    except ValueError:
        return None
    return _from(at, now)


def _from(at: datetime, now: float) -> float:
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(0.0, at.timestamp() - now)


def count_of(value: str | None) -> int | None:
    """A header's whole number; None where it is absent or none."""
    return int(value) if value is not None and value.isascii() and value.isdigit() else None
