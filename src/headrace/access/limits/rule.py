"""A rule: whom and what it is about, who shares its counters, and how much each may use."""

import fnmatch
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias, get_args

import msgspec

from headrace.access.principal import Principal

__all__ = [
    "DIMENSIONS",
    "Dimension",
    "Per",
    "Rule",
    "Scope",
    "counter_name",
    "is_money",
    "scope_of",
]

Dimension: TypeAlias = Literal[
    "requests_per_minute", "tokens_per_minute", "concurrent", "usd_per_day", "usd_per_month"
]
DIMENSIONS: Final[tuple[Dimension, ...]] = get_args(Dimension)

Per: TypeAlias = Literal["key", "team", "model"]

_encode = msgspec.json.Encoder().encode


class Scope(msgspec.Struct, frozen=True, array_like=True):
    """Whose use is counted together: what a rule selects, and the one key, team or model.

    No amount is in it, so that a rule whose amounts are edited goes on with its counters.
    """

    dimension: Dimension
    key: str | None
    team: str | None
    model: str | None
    per: tuple[Per, ...]
    """Of what each has counters of its own."""
    names: tuple[str, ...]
    """The key's id, the team, the model: one for each of `per`."""


_decode_scope = msgspec.json.Decoder(Scope).decode


def scope_of(name: str) -> Scope:
    """The scope that a counter of this name counts for."""
    return _decode_scope(name)


def is_money(dimension: Dimension) -> bool:
    """Whether it counts US dollars a period; the others count within a minute, or at a time."""
    return dimension in ("usd_per_day", "usd_per_month")


def counter_name(rule: "Rule", dimension: Dimension, names: tuple[str, ...]) -> str:
    """The name of a counter, which says all about its scope (JSON)."""
    return _encode(Scope(dimension, rule.key, rule.team, rule.model, rule.per, names)).decode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule of `limits:`. An absent amount is no limit; an absent selector matches all."""

    key: str | None = None
    """Name (a glob) or id of API keys."""
    team: str | None = None
    """Name of teams, a glob; a key without a team never matches."""
    model: str | None = None
    """Name of models, a glob."""
    per: tuple[Per, ...] = ("key",)
    """Of what each has counters of its own; empty: one counter for all that the rule matches."""
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrent: int | None = None
    usd_per_day: float | None = None
    usd_per_month: float | None = None
    _is_key: Callable[[str], bool] = field(init=False, repr=False, compare=False)
    _is_team: Callable[[str], bool] = field(init=False, repr=False, compare=False)
    _is_model: Callable[[str], bool] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_is_key", _glob(self.key))
        object.__setattr__(self, "_is_team", _glob(self.team))
        object.__setattr__(self, "_is_model", _glob(self.model))

    def matches(self, principal: Principal, model: str) -> bool:
        """Whether a call of this key for this model counts here."""
        return (
            (self._is_key(principal.name) or self.key == principal.key_id)
            and (self.team is None or (principal.team != "" and self._is_team(principal.team)))
            and self._is_model(model)
        )

    def names(self, principal: Principal, model: str) -> tuple[str, ...]:
        """Which of the rule's counters are this call's. A key without a team is one by itself."""
        of = {"key": principal.key_id, "team": principal.team or principal.key_id, "model": model}
        return tuple(of[each] for each in self.per)

    def amount(self, dimension: Dimension) -> float | None:
        """The limit of that kind, or None."""
        amount: float | None = getattr(self, dimension)
        return amount

    @property
    def label(self) -> str:
        """What the rule is about, in a few words: for messages and metrics."""
        said = [("key", self.key), ("team", self.team), ("model", self.model)]
        return ", ".join(f"{name} {value}" for name, value in said if value is not None) or "all"


def _glob(pattern: str | None) -> Callable[[str], bool]:
    if pattern is None:
        return lambda _: True
    matches = re.compile(fnmatch.translate(pattern)).match
    return lambda name: matches(name) is not None
