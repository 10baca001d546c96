"""Time zones by their name, such as Asia/Shanghai."""

from datetime import UTC, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

__all__ = ["EXAMPLES", "zone_named"]

EXAMPLES = "UTC, Europe/Berlin or Asia/Shanghai"
_LONGEST = 64


@lru_cache(maxsize=1024)
def zone_named(name: str) -> tzinfo | None:
    """The zone, or None where there is none of that name."""
    if name == "UTC":
        return UTC  # known without the system's table of zones, which small images lack
    try:
        return ZoneInfo(name) if 0 < len(name) <= _LONGEST else None
    except (KeyError, ValueError, OSError):
        return None
