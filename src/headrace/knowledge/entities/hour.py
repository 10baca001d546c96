"""Times of day in English and Chinese text, as 24-hour HH:MM.

Not covered: an hour without any sign of one ("at 3", 三点 alone, which is also "three points"),
time zones, seconds.
"""

import re
from collections.abc import Iterator

from headrace.knowledge.entities.number import chinese_number

__all__ = ["hours"]

_PATTERN = re.compile(
    r"(?<![A-Za-z\d_:.])(?P<h>\d{1,2})(?:[:.](?P<m>\d{2}))? ?(?P<half>[ap])(?:\.m\.|m\b)"
    r"|(?<![A-Za-z\d_:.])(?P<h24>[01]?\d|2[0-3]):(?P<m24>[0-5]\d)(?![A-Za-z\d_:])"
    r"|(?<!\w)(?P<h12>\d{1,2}) o'clock"
    r"|\b(?P<word>noon|midnight)\b"
    r"|(?P<part>凌晨|早上|清晨|上午|中午|下午|傍晚|晚上|夜里)(?P<zh>\d{1,2}|[一二两三四五六七八九十]{1,3})"
    r"[点时](?:(?P<zhm>[零一二三四五六七八九十\d]{1,3})分|(?P<zhq>半|一刻|三刻))?"
    r"|(?<![\d.第])(?P<zh24>[01]?\d|2[0-3])(?:[点时](?:(?P<zhm24>\d{1,2})分|(?P<zhq24>半|一刻|三刻)|整|钟)"
    r"|点(?!\d|个|的|左右))",
    re.IGNORECASE,
)
_QUARTERS = {"半": 30, "一刻": 15, "三刻": 45}
_LATE = ("下午", "傍晚", "晚上", "夜里")


def hours(text: str) -> Iterator[tuple[int, int, str]]:
    """Start, end and time of each time of day."""
    for match in _PATTERN.finditer(text):
        found = _time(match.groupdict())
        if found is not None:
            yield match.start(), match.end(), f"{found[0]:02}:{found[1]:02}"


def _time(said: dict[str, str | None]) -> tuple[int, int] | None:
    if said["word"]:
        return (12, 0) if said["word"].lower() == "noon" else (0, 0)
    if said["h24"]:
        return int(said["h24"]), int(said["m24"] or 0)
    if said["zh24"]:
        minute = _QUARTERS.get(said["zhq24"] or "") or int(said["zhm24"] or 0)
        return int(said["zh24"]), minute
    if said["zh"]:
        hour = chinese_number(said["zh"])
        if hour < 12 and (said["part"] in _LATE or (said["part"] == "中午" and hour < 3)):
            hour += 12
        minute = _QUARTERS.get(said["zhq"] or "") or chinese_number(said["zhm"] or "0")
        return (hour, minute) if hour < 25 and minute < 60 else None
    hour, minute = int(said["h"] or said["h12"] or 0), int(said["m"] or 0)
    if not 1 <= hour <= 12 or minute > 59:
        return None
    if said["half"]:
        hour = hour % 12 + (12 if said["half"].lower() == "p" else 0)
    return hour, minute
