"""What Redis has yet to be told: sums by counter, so it stays small however long Redis is away."""

from collections.abc import Sequence
from typing import TypeAlias

from headrace.access.limits.plan import Entry, Plan

__all__ = ["NOW", "Backlog", "Lease"]

NOW = -1
"""The slot in which the report arrives."""

Lease: TypeAlias = tuple[str, tuple[str, ...]]
"""A running call's id, and the counters in which it takes a place."""


class Backlog:
    """Changes not yet sent, and the leases of all running calls."""

    def __init__(self) -> None:
        self._windows: dict[tuple[str, int], int] = {}
        self._spends: dict[tuple[str, int], float] = {}
        self._left: list[tuple[str, str]] = []
        self._held: dict[str, tuple[str, ...]] = {}

    def __bool__(self) -> bool:
        return bool(self._windows or self._spends or self._left)

    def charge(self, entry: Entry, sign: int, slot: int) -> None:
        """A call that Redis does not know of (+1), or that must not count after all (-1)."""
        for rate in entry.plan.requests:
            self._add(rate.window.name, slot, sign)
        self.tokens(entry.plan, slot, sign * entry.tokens)
        self.money(entry, sign * entry.usd)

    def tokens(self, plan: Plan, slot: int, amount: int) -> None:
        if amount:
            for rate in plan.tokens:
                self._add(rate.window.name, slot, amount)

    def money(self, entry: Entry, usd: float) -> None:
        if usd:
            for budgets, period in (
                (entry.plan.usd_day, entry.day),
                (entry.plan.usd_month, entry.month),
            ):
                for budget in budgets:
                    key = (budget.spend.name, period)
                    self._spends[key] = self._spends.get(key, 0.0) + usd

    def hold(self, lease: Lease) -> None:
        """A call runs; its lease is renewed until it has left."""
        name, counters = lease
        if counters:
            self._held[name] = counters

    def leave(self, lease: Lease) -> None:
        name, counters = lease
        self._held.pop(name, None)
        self._left += [(counter, name) for counter in counters]

    def take(
        self,
    ) -> tuple[
        Sequence[tuple[str, int, int]], Sequence[tuple[str, int, float]], Sequence[tuple[str, str]]
    ]:
        """The changes of windows and of money, and the leases that ended; they are gone from here."""
        windows = [(name, slot, n) for (name, slot), n in self._windows.items() if n]
        spends = [(name, period, usd) for (name, period), usd in self._spends.items() if usd]
        left = self._left
        self._windows, self._spends, self._left = {}, {}, []
        return windows, spends, left

    def held(self) -> list[tuple[str, str]]:
        """The leases of all running calls."""
        return [(counter, name) for name, counters in self._held.items() for counter in counters]

    def forget_slots_before(self, slot: int) -> None:
        """Drop what would have left its window anyway."""
        self._windows = {
            key: amount for key, amount in self._windows.items() if key[1] == NOW or key[1] >= slot
        }

    def _add(self, name: str, slot: int, amount: int) -> None:
        key = (name, slot)
        self._windows[key] = self._windows.get(key, 0) + amount
