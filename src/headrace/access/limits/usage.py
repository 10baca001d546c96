"""How much of each limit is used now: for people who look, not for the request path."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from headrace.access.limits.calendar import Calendar, Day
from headrace.access.limits.config import Limits
from headrace.access.limits.rule import DIMENSIONS, Dimension, Per, Rule, counter_name
from headrace.access.limits.window import SLOTS, slot_at
from headrace.access.principal import Principal

__all__ = ["Reader", "StoredReader", "Use", "current_use"]


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """One limit, as it stands for one key, team or model."""

    limit: Dimension
    rule: str
    """What the rule is about."""
    key: str | None
    """The key's name, where each has its own."""
    key_id: str | None
    team: str | None
    model: str | None
    """The model, where each has its own; else what the rule selects."""
    used: float | None
    """Reservations included; None where only the running service knows."""
    allowed: float
    resets_at: float | None
    """When a budget begins anew, in seconds since the epoch; windows never stop sliding."""


class Reader(Protocol):
    """Tells what counters hold."""

    def read(self, names: Sequence[tuple[str, Dimension, int]]) -> list[float | None]:
        """For each counter (name, what it counts, current period) what is used."""
        ...


class StoredReader:
    """Reads what the database has. Calls at a time are not written there."""

    def __init__(self, stored: Mapping[str, Mapping[int, float]], *, now: float) -> None:
        self._stored = stored
        self._oldest = slot_at(now) - SLOTS

    def read(self, names: Sequence[tuple[str, Dimension, int]]) -> list[float | None]:
        """See `Reader`."""
        return [self._one(*each) for each in names]

    def _one(self, name: str, dimension: Dimension, period: int) -> float | None:
        if dimension == "concurrent":
            return None
        slots = self._stored.get(name, {})
        if dimension in ("usd_per_day", "usd_per_month"):
            return slots.get(period, 0.0)
        return sum(amount for slot, amount in slots.items() if slot > self._oldest)


def current_use(
    limits: Limits, keys: Sequence[Principal], models: Sequence[str], reader: Reader, *, now: float
) -> list[Use]:
    """Every limit that concerns these keys and models, in the order of the rules."""
    day = Calendar(limits.zone).at(now)
    found = list(dict.fromkeys(_scopes(limits.rules, keys, models)))
    name_by_id = {key.key_id: key.name for key in keys}
    asked = [
        (counter_name(rule, dimension, names), dimension, _period(dimension, day))
        for rule, names, dimension in found
    ]
    used = reader.read(asked)
    return [
        _use(rule, dimension, dict(zip(rule.per, names, strict=True)), amount, name_by_id, day)
        for (rule, names, dimension), amount in zip(found, used, strict=True)
    ]


def _scopes(
    rules: Sequence[Rule], keys: Sequence[Principal], models: Sequence[str]
) -> Iterator[tuple[Rule, tuple[str, ...], Dimension]]:
    for rule in rules:
        for key in keys:
            for model in models:
                if rule.matches(key, model):
                    for dimension in DIMENSIONS:
                        if rule.amount(dimension) is not None:
                            yield rule, rule.names(key, model), dimension


def _period(dimension: Dimension, day: Day) -> int:
    return day.month if dimension == "usd_per_month" else day.day


def _use(
    rule: Rule,
    dimension: Dimension,
    named: Mapping[Per, str],
    used: float | None,
    name_by_id: Mapping[str, str],
    day: Day,
) -> Use:
    allowed = rule.amount(dimension)
    assert allowed is not None
    key_id = named.get("key")
    team = named.get("team")
    if team in name_by_id:
        # A key without a team is a team by itself.
        key_id, team = team, None
    ends_at = {"usd_per_day": day.ends_at, "usd_per_month": day.month_ends_at}.get(dimension)
    return Use(
        limit=dimension,
        rule=rule.label,
        key=None if key_id is None else name_by_id.get(key_id, key_id),
        key_id=key_id,
        team=team or rule.team,
        model=named.get("model", rule.model),
        used=used,
        allowed=allowed,
        resets_at=ends_at,
    )
