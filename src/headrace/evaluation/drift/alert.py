"""Drift alerts: what was found, once for a window, so that workflows and people are told once."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict

import msgspec
from sqlalchemy import insert, select

from headrace.evaluation.drift.signal import Signal
from headrace.ids import new_id
from headrace.storage.database import Database
from headrace.storage.tables import drift_alerts

__all__ = ["Alert", "AlertStore"]


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """A signal that has drifted."""

    id: str
    signal: str
    created_at: float
    effect: float
    p_value: float
    before: str
    now: str


class AlertStore:
    """Alerts in the database: not for an event loop."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def keep(self, found: Sequence[Signal], *, since: float) -> list[Alert]:
        """Keep an alert of each signal that has drifted, unless there was one since then."""
        known = {each.signal for each in self.newest(since=since)}
        made: list[Alert] = []
        for each in found:
            if each.has_drifted and each.name not in known:
                figures = {
                    name: value
                    for name, value in asdict(each).items()
                    if name in ("effect", "p_value", "before", "now")
                }
                alert = Alert(id=new_id(), signal=each.name, created_at=self._clock(), **figures)
                made.append(alert)
        if made:
            rows = [
                {
                    "id": each.id,
                    "signal": each.signal,
                    "created_at": each.created_at,
                    "detail": msgspec.json.encode(each),
                }
                for each in made
            ]
            with self._database.write() as connection:
                connection.execute(insert(drift_alerts), rows)
        return made

    def newest(self, *, since: float = 0.0, limit: int = 100) -> list[Alert]:
        """Alerts since then, newest first."""
        query = (
            select(drift_alerts.c.detail)
            .where(drift_alerts.c.created_at >= since)
            .order_by(drift_alerts.c.id.desc())
            .limit(limit)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).scalars()
            return [msgspec.json.decode(each, type=Alert) for each in rows]
