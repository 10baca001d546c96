"""The limits that one key's calls for one model meet, found once and then only looked up."""

from collections.abc import Iterable
from typing import NamedTuple

from headrace.access.limits.calendar import Day
from headrace.access.limits.rule import Rule, counter_name
from headrace.access.limits.spend import Spend
from headrace.access.limits.window import SLOTS, Window

__all__ = ["Budget", "Counters", "Entry", "Places", "Plan", "Rate", "Seen"]


class Counters:
    """What is counted for one scope; only what some rule limits."""

    __slots__ = ("active", "names", "plans", "requests", "scope", "tokens", "usd_day", "usd_month")

    def __init__(self, scope: tuple[object, ...], names: tuple[str, ...]) -> None:
        self.scope = scope
        """Under which the ledger finds them."""
        self.names = names
        """The key, team or model whose they are."""
        self.requests: Window | None = None
        self.tokens: Window | None = None
        self.usd_day: Spend | None = None
        self.usd_month: Spend | None = None
        self.active = 0
        """Calls under way."""
        self.plans = 0
        """Plans that hold these counters."""

    def is_idle(self, slot: int, day: Day) -> bool:
        """Whether forgetting these counters would change nothing."""
        if self.active or self.plans:
            return False
        for window in (self.requests, self.tokens):
            if window is not None and window.total and slot - window.head < SLOTS:
                return False
        return not (
            (self.usd_day is not None and self.usd_day.spent(day.day))
            or (self.usd_month is not None and self.usd_month.spent(day.month))
        )


class Rate(NamedTuple):
    """A limit on a window."""

    rule: Rule
    window: Window
    limit: int


class Budget(NamedTuple):
    """A limit on what a period may cost."""

    rule: Rule
    spend: Spend
    limit: float


class Places(NamedTuple):
    """A limit on calls at the same time."""

    rule: Rule
    counters: Counters
    limit: int
    name: str
    """What shared counters call it."""


class Seen:
    """What the shared windows of a plan hold, in the order of its limits."""

    __slots__ = ("requests", "slot", "tokens")

    def __init__(self, slot: int, requests: list[int], tokens: list[int]) -> None:
        self.slot = slot
        """When that was, by this gateway's clock."""
        self.requests = requests
        self.tokens = tokens


class Plan:
    """See the module. Each counter stands in it once, or calls would count twice."""

    __slots__ = (
        "concurrent",
        "counters",
        "requests",
        "seen",
        "tokens",
        "usd_day",
        "usd_month",
        "used_at",
    )

    def __init__(
        self, matched: Iterable[tuple[Rule, Counters]], *, share: int, used_at: float
    ) -> None:
        """
        Args:
            share: of how many equal parts of each limit one counts here.
        """
        found = list(matched)
        self.used_at = used_at
        self.seen: Seen | None = None
        """What shared counters held when they were last asked; None where nothing is shared."""
        self.counters = tuple({id(each): each for _, each in found}.values())
        self.requests = tuple(
            Rate(rule, counters.requests, rule.requests_per_minute // share or 1)
            for rule, counters in found
            if rule.requests_per_minute is not None and counters.requests is not None
        )
        self.tokens = tuple(
            Rate(rule, counters.tokens, rule.tokens_per_minute // share or 1)
            for rule, counters in found
            if rule.tokens_per_minute is not None and counters.tokens is not None
        )
        self.concurrent = tuple(
            Places(
                rule,
                counters,
                rule.concurrent // share or 1,
                counter_name(rule, "concurrent", counters.names),
            )
            for rule, counters in found
            if rule.concurrent is not None
        )
        self.usd_day = tuple(
            Budget(rule, counters.usd_day, rule.usd_per_day / share)
            for rule, counters in found
            if rule.usd_per_day is not None and counters.usd_day is not None
        )
        self.usd_month = tuple(
            Budget(rule, counters.usd_month, rule.usd_per_month / share)
            for rule, counters in found
            if rule.usd_per_month is not None and counters.usd_month is not None
        )


class Entry:
    """What one call has reserved, until it is settled and has left."""

    __slots__ = (
        "day",
        "is_active",
        "is_settled",
        "lease",
        "month",
        "plan",
        "shared_slot",
        "slot",
        "tokens",
        "usd",
    )

    def __init__(self, plan: Plan, slot: int, day: Day, tokens: int, usd: float) -> None:
        self.plan = plan
        self.slot = slot
        self.day = day.day
        self.month = day.month
        self.tokens = tokens
        self.usd = usd
        self.is_settled = False
        self.is_active = True
        self.shared_slot = slot
        """Where shared counters have reserved the tokens: by the clock of Redis."""
        self.lease = ""
        """The call's name in shared counters."""
