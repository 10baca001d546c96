"""What `limits:` in headrace.yaml may hold: a list of rules, or a mapping with more beside them."""

import difflib
import re
import zoneinfo
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from headrace.access.limits.rule import DIMENSIONS, Per, Rule
from headrace.config.node import Node

__all__ = [
    "ADDRESSES",
    "Limits",
    "LimitsConfig",
    "LimitsSection",
    "RedisConfig",
    "RuleConfig",
    "read_limits",
]

ADDRESSES = "write redis://HOST:6379/0, rediss://… (TLS) or unix:///path/to/redis.sock"
"""What the address of a Redis looks like."""

_ADDRESS = re.compile(r"(redis|rediss|unix)://.")
_AMOUNT = re.compile(r"([0-9]+(?:\.[0-9]+)?)([kMG]?)\Z")
_FACTOR = {"": 1, "k": 1_000, "M": 1_000_000, "G": 1_000_000_000}
_MOST = 2**53
"""Whole numbers beyond this are not exact in Redis."""
_PER_ORDER: tuple[Per, ...] = ("key", "team", "model")


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every section: unknown fields are errors."""


class RuleConfig(_Section, frozen=True, kw_only=True):
    """How much may be used, and by whom (`limits[]`). Every rule that matches must allow a call."""

    key: str | None = None
    """Only these API keys: a name, in which `*` stands for any text, or an id; absent: every key."""
    team: str | None = None
    """Only keys of these teams (`headrace keys create --team`); `*` stands for any text."""
    model: str | None = None
    """Only calls of these models, counted together; `*` stands for any text."""
    per: Literal["key", "team", "model", "service"] | list[Per] | None = None
    """Of what each has counters of its own; absent: `team` when only a team is named, else `key`."""
    requests_per_minute: int | str | None = None
    """Requests within any minute; `k` and `M` may stand for thousands and millions."""
    tokens_per_minute: int | str | None = None
    """Tokens of prompts and answers within any minute; `k` and `M` as above."""
    concurrent: Annotated[int, Meta(gt=0)] | None = None
    """Calls at the same time."""
    usd_per_day: Annotated[float, Meta(gt=0)] | None = None
    """US dollars a calendar day."""
    usd_per_month: Annotated[float, Meta(gt=0)] | None = None
    """US dollars a calendar month."""


class RedisConfig(_Section, frozen=True, kw_only=True):
    """Counters that several gateways share (`limits.redis`)."""

    url: str
    """Address of the Redis: redis://…, rediss://… (TLS) or unix:///path; 7 or newer."""
    on_error: Literal["allow", "deny"] = "allow"
    """While Redis is away: `allow` counts here, against this gateway's part of each limit."""
    timeout_s: Annotated[float, Meta(gt=0)] = 0.25
    """Seconds without an answer after which Redis counts as away."""
    prefix: str = "headrace"
    """What the names of all keys in Redis begin with."""


class LimitsConfig(_Section, frozen=True, kw_only=True):
    """What each key, team and model may use (`limits:`)."""

    rules: list[RuleConfig] = msgspec.field(default_factory=list)
    """The rules, in any order."""
    time_zone: str = "UTC"
    """Where days and months begin, as in `Europe/Berlin`."""
    redis: RedisConfig | None = None
    """Where several gateways share counters; absent: each service counts for itself."""


LimitsSection: TypeAlias = list[RuleConfig] | LimitsConfig
"""The type of the section: the list alone is the short form."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The section as it is used."""

    rules: tuple[Rule, ...] = ()
    zone: tzinfo = UTC
    redis: RedisConfig | None = None


def read_limits(node: Node | None) -> Limits:
    """The section, checked; None or nothing under `limits:` means no limits.

    Raises:
        ConfigError: with file, line and field.
    """
    if node is None or node.value is None:
        return Limits()
    if isinstance(node.value, list):
        return Limits(rules=_rules(node))
    for name in node.value if isinstance(node.value, dict) else ():
        if name in RuleConfig.__struct_fields__:
            raise node.error(
                "a limit stands in a list of rules", name, hint=f"write it as `- {name}: …`"
            )
    config = node.convert(LimitsConfig)
    if config.redis is not None and not _ADDRESS.match(config.redis.url):
        raise node.error("this is not the address of a Redis", "redis", "url", hint=ADDRESSES)
    zone = _zone(node, config.time_zone)
    rules = _rules(node.child("rules")) if config.rules else ()
    return Limits(rules=rules, zone=zone, redis=config.redis)


def _zone(node: Node, name: str) -> tzinfo:
    if name == "UTC":
        # Without the machine's list of zones, which small containers lack.
        return UTC
    with suppress(zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return zoneinfo.ZoneInfo(name)
    known = zoneinfo.available_timezones()
    near = difflib.get_close_matches(name, known, n=1)
    hint = "write it as `Europe/Berlin`" if known else "this machine has none: install `tzdata`"
    raise node.error(
        f"there is no time zone {name!r}",
        "time_zone",
        hint=f"did you mean {near[0]!r}?" if near else hint,
    )


def _rules(node: Node) -> tuple[Rule, ...]:
    configs = node.convert(list[RuleConfig])
    rules: list[Rule] = []
    seen: dict[tuple[object, ...], int] = {}
    for at, config in enumerate(configs):
        rule = _rule(node.child(at), config)
        for dimension in DIMENSIONS:
            if rule.amount(dimension) is None:
                continue
            same = (rule.key, rule.team, rule.model, rule.per, dimension)
            if same in seen:
                # Both would count in the same counter, so it would count everything twice.
                raise node.error(
                    f"the rule in line {node.line(seen[same])} limits {dimension} of the same "
                    "calls already",
                    at,
                    dimension,
                    hint="keep one of the two",
                )
            seen[same] = at
        rules.append(rule)
    return tuple(rules)


def _rule(node: Node, config: RuleConfig) -> Rule:
    rule = Rule(
        key=_selector(node, "key", config.key),
        team=_selector(node, "team", config.team),
        model=_selector(node, "model", config.model),
        per=_per(config),
        requests_per_minute=_amount(node, "requests_per_minute", config.requests_per_minute),
        tokens_per_minute=_amount(node, "tokens_per_minute", config.tokens_per_minute),
        concurrent=config.concurrent,
        usd_per_day=config.usd_per_day,
        usd_per_month=config.usd_per_month,
    )
    if all(rule.amount(each) is None for each in DIMENSIONS):
        raise node.error(
            "the rule limits nothing", hint=f"add at least one of {', '.join(DIMENSIONS)}"
        )
    return rule


def _selector(node: Node, name: str, value: str | None) -> str | None:
    if value == "":
        raise node.error("an empty name matches nothing", name, hint="leave the field out for all")
    return value


def _per(config: RuleConfig) -> tuple[Per, ...]:
    given = config.per
    if given is None:
        return ("team",) if config.team is not None and config.key is None else ("key",)
    if given == "service":
        return ()
    named = given if isinstance(given, list) else [given]
    return tuple(each for each in _PER_ORDER if each in named)


def _amount(node: Node, name: str, given: int | str | None) -> int | None:
    if given is None:
        return None
    found = _AMOUNT.match(str(given))
    amount = round(float(found[1]) * _FACTOR[found[2]]) if found else 0
    if not 0 < amount <= _MOST:
        written = node.written(name)
        shown = repr(given) if written is None else repr(written)
        raise node.error(
            f"expected a whole number above 0, found {shown}",
            name,
            hint="such as 500, 100k or 1.5M",
        )
    return amount
