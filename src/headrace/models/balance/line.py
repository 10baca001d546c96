"""The line in which calls wait while every member is full: bounded, by priority, with deadlines."""

import heapq
import itertools
import math
from collections import Counter
from collections.abc import Callable, Collection

from headrace.errors import HeadraceError
from headrace.models.balance.member import Demand
from headrace.models.balance.settings import QueueSettings
from headrace.models.balance.ticket import Ticket

__all__ = ["Line", "Waiter"]

Group = tuple[frozenset[str], frozenset[str] | None]

_DEAD_KEPT = 64


class Waiter:
    """One call that waits. It is told once: `granted` or `refused`, or neither when it leaves."""

    __slots__ = ("deadline", "demand", "granted", "group", "is_waiting", "rank", "refused")

    def __init__(
        self,
        demand: Demand,
        deadline: float,
        granted: Callable[[Ticket], None],
        refused: Callable[[HeadraceError], None],
    ) -> None:
        self.demand = demand
        self.deadline = deadline
        self.granted = granted
        self.refused = refused
        self.group: Group = (demand.exclude, demand.regions)
        self.rank = (0.0, 0)
        """Least first; set by the line."""
        self.is_waiting = False


class Line:
    """Waiting calls, in order of arrival plus `aging_s` for each degree of lesser urgency.

    As all age alike, that order never changes: it is a heap, and nobody starves. Calls that may
    go to the same members share one; a call whose members are full does not hold up the others.
    """

    def __init__(self, settings: QueueSettings) -> None:
        self._settings = settings
        self._groups: dict[Group, list[tuple[tuple[float, int], Waiter]]] = {}
        self._deadlines: list[tuple[float, int, Waiter]] = []
        self._by_priority: Counter[int] = Counter()
        self._serial = itertools.count()
        self.length = 0

    def push(self, waiter: Waiter, now: float) -> Waiter | None:
        """Let it wait. When the line is full, returns the one that has to go: perhaps itself."""
        pushed_out = None
        if self.length >= self._settings.length:
            pushed_out = self._least_urgent(waiter.demand.priority)
            if pushed_out is None:
                return waiter
            self.remove(pushed_out)
        serial = next(self._serial)
        waiter.rank = (now + waiter.demand.priority * self._settings.aging_s, serial)
        waiter.is_waiting = True
        heapq.heappush(self._groups.setdefault(waiter.group, []), (waiter.rank, waiter))
        heapq.heappush(self._deadlines, (waiter.deadline, serial, waiter))
        self._by_priority[waiter.demand.priority] += 1
        self.length += 1
        return pushed_out

    def first(self, blocked: Collection[Group]) -> Waiter | None:
        """Who is next among those whose group is not blocked."""
        best: Waiter | None = None
        for group in list(self._groups):
            if group in blocked:
                continue
            heap = self._groups[group]
            while heap and not heap[0][1].is_waiting:
                heapq.heappop(heap)
            if not heap:
                del self._groups[group]
            elif best is None or heap[0][0] < best.rank:
                best = heap[0][1]
        return best

    def remove(self, waiter: Waiter) -> None:
        """It waits no longer."""
        if not waiter.is_waiting:
            return
        waiter.is_waiting = False
        self.length -= 1
        self._by_priority[waiter.demand.priority] -= 1
        if not self._by_priority[waiter.demand.priority]:
            del self._by_priority[waiter.demand.priority]
        if len(self._deadlines) > 2 * self.length + _DEAD_KEPT:
            self._sweep()

    def expired(self, now: float) -> Waiter | None:
        """Takes out one whose deadline has passed; None when there is none."""
        while self._deadlines and (
            self._deadlines[0][0] <= now or not self._deadlines[0][2].is_waiting
        ):
            waiter = heapq.heappop(self._deadlines)[2]
            if waiter.is_waiting:
                self.remove(waiter)
                return waiter
        return None

    def next_deadline(self) -> float:
        """The earliest one; infinity when nobody waits."""
        while self._deadlines and not self._deadlines[0][2].is_waiting:
            heapq.heappop(self._deadlines)
        return self._deadlines[0][0] if self._deadlines else math.inf

    def waiters(self) -> list[Waiter]:
        """All of them, in no order."""
        return [waiter for _, _, waiter in self._deadlines if waiter.is_waiting]

    def _least_urgent(self, than: int) -> Waiter | None:
        if not self._by_priority or max(self._by_priority) <= than:
            return None
        lesser = [each for each in self.waiters() if each.demand.priority > than]
        return max(lesser, key=lambda each: (each.demand.priority, each.rank))

    def _sweep(self) -> None:
        # Those who left early stay in the heaps until here, so that leaving is cheap.
        self._deadlines = [each for each in self._deadlines if each[2].is_waiting]
        heapq.heapify(self._deadlines)
        for group, heap in list(self._groups.items()):
            alive = [each for each in heap if each[1].is_waiting]
            if alive:
                heapq.heapify(alive)
                self._groups[group] = alive
            else:
                del self._groups[group]
