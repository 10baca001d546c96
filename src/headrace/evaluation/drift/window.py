"""Windows of traffic: what the stored turns of a time say, without their texts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import Select, select

from headrace.evaluation.drift.signal import Signal, by_category, by_number
from headrace.storage.database import Database
from headrace.storage.tables import feedback, traces
from headrace.telemetry.feedback import last_ratings

__all__ = ["Window", "between", "compare"]

MOST = 20_000
"""Turns of a window that are looked at, the newest; more would say the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Turns that began from `since` to before `until` (seconds since the epoch)."""

    since: float
    until: float
    model: str | None = None


_CATEGORIES = ("status", "language", "model", "template", "finish_reason", "error")
_NUMBERS = ("prompt_tokens", "completion_tokens", "ttft_s", "duration_s", "cost_usd")
_decode_detail = msgspec.msgpack.Decoder().decode


@dataclass(slots=True)
class _Seen:
    """The columns of a window's turns."""

    values: dict[str, list[object]]
    findings: list[str]
    ratings: list[str]


def compare(database: Database, before: Window, now: Window) -> list[Signal]:
    """Every signal that both windows have enough turns for, to be judged. Reads the database."""
    old, new = _read(database, before), _read(database, now)
    return list(_signals(old, new))


def between(database: Database, window: Window) -> list[str]:
    """Ids of the chats of a window, newest first."""
    query = _within(select(traces.c.id), window).where(traces.c.operation == "chat")
    with database.read() as connection:
        return list(connection.execute(query.order_by(traces.c.id.desc()).limit(MOST)).scalars())


def _signals(old: _Seen, new: _Seen) -> Iterator[Signal]:
    for name in _CATEGORIES:
        shown = [_shown(name, each) for each in old.values[name]]
        found = by_category(name, shown, [_shown(name, each) for each in new.values[name]])
        if found is not None:
            yield found
    for name in _NUMBERS:
        numbers = [float(str(each)) for each in old.values[name] if each is not None]
        later = [float(str(each)) for each in new.values[name] if each is not None]
        if (number := by_number(name, numbers, later)) is not None:
            yield number
    for name, one, two in (
        ("findings", old.findings, new.findings),
        ("rating", old.ratings, new.ratings),
    ):
        if (found := by_category(name, one, two)) is not None:
            yield found


def _shown(name: str, value: object) -> str:
    text = "" if value is None else str(value)
    # Which version of a template is a release's matter; that another one is chosen is drift.
    return text.partition("@")[0] if name == "template" else text


def _read(database: Database, window: Window) -> _Seen:
    names = (*_CATEGORIES, *_NUMBERS)
    query = _within(select(*(traces.c[name] for name in names), traces.c.detail), window)
    rated = _within(
        select(feedback.c.score)
        .join(traces, feedback.c.trace_id == traces.c.id)
        .where(feedback.c.id.in_(last_ratings())),
        window,
    )
    with database.read() as connection:
        rows = connection.execute(query.order_by(traces.c.id.desc()).limit(MOST)).all()
        ratings = [str(each) for each in connection.execute(rated.limit(MOST)).scalars()]
    values: dict[str, list[object]] = {
        name: [row[at] for row in rows] for at, name in enumerate(names)
    }
    return _Seen(values, [_kinds(row[len(names)]) for row in rows], ratings)


def _kinds(detail: bytes) -> str:
    """What screening found in a turn, as one value."""
    _, findings = _decode_detail(detail)
    return "+".join(sorted({str(each.get("kind", "")) for each in findings})) or "nothing"


def _within(query: Select[Any], window: Window) -> Select[Any]:
    query = query.where(
        traces.c.started_at >= window.since,
        traces.c.started_at < window.until,
        # What a release answers in the shadow is no traffic.
        traces.c.operation != "shadow",
    )
    return query if window.model is None else query.where(traces.c.model == window.model)
