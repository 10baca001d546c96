"""The limiter of one of several processes: counts in the table that all of them share.

Deciding takes some microseconds and two system calls for the lock, and waits for no other process
longer than that one takes to decide. `LimitKeeper`, in one of the processes, carries what the
table holds into the database; `fold` does so when the last of them has ended, however it ended.
"""

import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from headrace.access.limits.admission import FREE, Admission
from headrace.access.limits.calendar import Calendar
from headrace.access.limits.config import Limits
from headrace.access.limits.ledger import Change, Ledger, Stored
from headrace.access.limits.limiter import LIMIT_USE, MemoryLimiter
from headrace.access.limits.mapped.counter import (
    MappedCounters,
    MappedSpend,
    MappedWindow,
    changes_since,
)
from headrace.access.limits.mapped.table import PLACES, SPEND, WINDOW, Table
from headrace.access.limits.plan import Counters, Entry
from headrace.access.limits.rule import Dimension, Rule, counter_name, is_money, scope_of
from headrace.access.limits.spend import Spend
from headrace.access.limits.store import limit_handlers, load_counters
from headrace.access.limits.window import Window
from headrace.access.principal import Principal
from headrace.storage.database import Database
from headrace.storage.writer import RecordWriter

__all__ = ["LimitKeeper", "MappedLimiter", "fill", "fold"]

_encode = msgspec.msgpack.Encoder().encode


class _MappedLedger(Ledger):
    """The ledger's rules, over the table's counters."""

    def __init__(self, limits: Limits, table: Table, slot: int) -> None:
        super().__init__(limits.rules, Calendar(limits.zone))
        self._table = table
        self._slot_number = slot

    def _counters(self, rule: Rule, principal: Principal, model: str, slot: int) -> Counters:
        names = rule.names(principal, model)
        scope = (rule.key, rule.team, rule.model, rule.per, names)
        if scope not in self._by_scope:
            places = self._table.record(counter_name(rule, "concurrent", names), PLACES)
            self._by_scope[scope] = MappedCounters(scope, names, places, self._slot_number)
        return super()._counters(rule, principal, model, slot)

    def _window(
        self, rule: Rule, dimension: Dimension, names: tuple[str, ...], slot: int
    ) -> Window:
        record = self._table.record(counter_name(rule, dimension, names), WINDOW)
        return MappedWindow(record, slot)

    def _spend(self, rule: Rule, dimension: Dimension, names: tuple[str, ...]) -> Spend:
        return MappedSpend(self._table.record(counter_name(rule, dimension, names), SPEND))


class MappedLimiter(MemoryLimiter):
    """See the module."""

    def __init__(
        self, limits: Limits, path: Path, slot: int, *, clock: Callable[[], float] = time.time
    ) -> None:
        """
        Args:
            path: the table, made before the first worker starts (`fill`).
            slot: which of the processes this is.

        Raises:
            OSError: there is no table.
        """
        super().__init__(limits, clock=clock)
        self._table = Table.open(path, slot)
        self._table.vacate()
        self.ledger = _MappedLedger(limits, self._table, slot)

    async def close(self) -> None:
        """See `Limiter`."""
        self._table.close()

    def admit(
        self,
        principal: Principal,
        model: str,
        estimated_tokens: int,
        now: float,
        *,
        estimated_cost_usd: float = 0.0,
    ) -> Admission:
        """See `Limiter`."""
        if not self.ledger.rules:
            return FREE
        with self._table:
            return super().admit(
                principal, model, estimated_tokens, now, estimated_cost_usd=estimated_cost_usd
            )

    def try_admit(
        self, principal: Principal, model: str, estimated_tokens: int, now: float, cost_usd: float
    ) -> Admission | None:
        """See `MemoryLimiter`."""
        if not self.ledger.rules:
            return FREE
        with self._table:
            return super().try_admit(principal, model, estimated_tokens, now, cost_usd)

    def withdraw(self, admission: Admission) -> None:
        """See `MemoryLimiter`."""
        with self._table:
            super().withdraw(admission)

    def settle(self, entry: Entry, tokens: int, usd: float) -> None:
        """See `Settler`."""
        if not entry.is_settled:
            with self._table:
                super().settle(entry, tokens, usd)

    def leave(self, entry: Entry) -> None:
        """See `Settler`."""
        if entry.is_active:
            with self._table:
                super().leave(entry)


class LimitKeeper:
    """Carries what has changed in the table into the database: for who looks, and for later."""

    def __init__(self, path: Path, slot: int, writer: RecordWriter) -> None:
        self._table = Table.open(path, slot)
        self._writer = writer
        self._copies: dict[str, bytes] = {}

    def keep(self) -> None:
        """Call it once a second, and at the end."""
        changes: list[Change] = []
        with self._table:
            for record in self._table.records():
                before = self._copies.get(record.name)
                if record.kind == PLACES or (before and before[:8] == bytes(record.words[:1])):
                    continue
                changes += changes_since(record, before)
                self._copies[record.name] = bytes(record.words)
        if changes:
            self._writer.append(LIMIT_USE, _encode(changes))

    def close(self) -> None:
        """Keep the last of it."""
        self.keep()
        self._table.close()


def fill(path: Path, slots: int, database: Database, *, now: float) -> None:
    """A table for that many processes, with what the database says was used so far.

    Raises:
        OSError: there is no space for it.
    """
    table = Table.create(path, slots)
    stored: Stored = load_counters(database, now=now)
    with table:
        for name, amounts in stored.items():
            if is_money(scope_of(name).dimension):
                spend = MappedSpend(table.record(name, SPEND))
                for period in sorted(amounts)[-4:]:
                    spend.add(period, amounts[period])
            else:
                window = MappedWindow(table.record(name, WINDOW), max(amounts))
                for slot, amount in amounts.items():
                    window.add(slot, int(amount))
    table.close()


def fold(path: Path, database: Database) -> None:
    """Bring what a table holds into the database, and remove it. Nothing to do without one."""
    try:
        table = Table.open(path, 0)
    except FileNotFoundError:
        return
    changes = [change for record in table.records() for change in changes_since(record, None)]
    table.close()
    if changes:
        with database.write() as connection:
            limit_handlers()[LIMIT_USE](connection, [_encode(changes)])
    path.unlink()
