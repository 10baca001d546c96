"""Counters in the table, with the faces of the ledger's own. Whoever uses them holds the table."""

from collections.abc import Iterator

from headrace.access.limits.ledger import Change
from headrace.access.limits.mapped.table import PERIODS, PLACES, SPEND, WINDOW, Record
from headrace.access.limits.plan import Counters
from headrace.access.limits.spend import Spend
from headrace.access.limits.window import SLOTS, Window

__all__ = ["MappedCounters", "MappedSpend", "MappedWindow", "changes_since"]

_CHANGES, _HEAD, _TOTAL, _RING = 0, 1, 2, 3


class MappedWindow(Window):
    """A window whose slots every process sees."""

    __slots__ = ("_words",)

    def __init__(self, record: Record, head: int) -> None:
        self.name = record.name
        self._words = record.words
        self._ring = record.words[_RING:]  # type: ignore[assignment]  # reads and writes alike
        if not record.words[_HEAD]:
            record.words[_HEAD] = head

    @property
    def head(self) -> int:  # type: ignore[override]  # a slot there, the table's here
        return self._words[_HEAD]

    @property
    def total(self) -> int:  # type: ignore[override]
        return self._words[_TOTAL]

    def advance(self, slot: int) -> None:
        """See `Window`."""
        words, ring = self._words, self._ring
        head = words[_HEAD]
        if slot <= head:
            return
        if words[_TOTAL]:
            for each in range(max(head + 1, slot - SLOTS + 1), slot + 1):
                at = each % SLOTS
                if ring[at]:
                    words[_TOTAL] -= ring[at]
                    ring[at] = 0
        words[_HEAD] = slot

    def add(self, slot: int, amount: int) -> None:
        """See `Window`."""
        words = self._words
        # Another process may be some slots ahead of this one.
        if slot > words[_HEAD] - SLOTS:
            self._ring[slot % SLOTS] += amount
            words[_TOTAL] += amount
            words[_CHANGES] += 1


class MappedSpend(Spend):
    """Dollars by period; every process sees the same."""

    __slots__ = ("_periods", "_usd", "_words")

    def __init__(self, record: Record) -> None:
        self.name = record.name
        self._words = record.words
        self._periods = record.words[1 : 1 + PERIODS]
        self._usd = record.words[1 + PERIODS :].cast("B").cast("d")

    def spent(self, period: int) -> float:
        """See `Spend`."""
        at = self._at(period)
        return 0.0 if at is None else self._usd[at]

    def add(self, period: int, usd: float) -> None:
        """See `Spend`."""
        at = self._at(period)
        if at is None:
            # 0 stands for none: no service runs on the first day of the epoch.
            at = min(range(PERIODS), key=lambda each: self._periods[each])
            self._periods[at], self._usd[at] = period, 0.0
        self._usd[at] = max(0.0, self._usd[at] + usd)
        self._words[_CHANGES] += 1

    def _at(self, period: int) -> int | None:
        for at in range(PERIODS):
            if self._periods[at] == period:
                return at
        return None


class MappedCounters(Counters):
    """One scope's counters; its calls under way are those of all processes."""

    __slots__ = ("_places", "_slot")

    def __init__(
        self, scope: tuple[object, ...], names: tuple[str, ...], record: Record, slot: int
    ) -> None:
        self._places = record.words[1:]
        self._slot = slot
        own = self._places[slot]
        super().__init__(scope, names)  # says that nothing is under way
        self._places[slot] = own

    @property
    def active(self) -> int:
        return sum(self._places)

    @active.setter
    def active(self, count: int) -> None:
        places = self._places
        places[self._slot] = max(0, places[self._slot] + count - sum(places))


def changes_since(record: Record, before: bytes | None) -> Iterator[Change]:
    """What the counter holds now and did not hold when its words were copied to `before`."""
    words = record.words
    old = None if before is None else memoryview(before).cast("q")
    if record.kind == WINDOW:
        head = words[_HEAD]
        for slot in range(head - SLOTS + 1, head + 1):
            at = _RING + slot % SLOTS
            known = 0 if old is None or not 0 <= old[_HEAD] - slot < SLOTS else old[at]
            if words[at] != known:
                yield record.name, slot, words[at]
    elif record.kind == SPEND:
        usd = words[1 + PERIODS :].cast("B").cast("d")
        for at in range(PERIODS):
            if words[1 + at]:
                yield record.name, words[1 + at], usd[at]
    else:
        assert record.kind == PLACES  # ends with the calls
