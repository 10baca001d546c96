"""What was used within the last minute: a sliding window in half-second slots.

A slot counts until no part of it is younger than a minute, so no window of a minute, wherever it
begins, ever holds more than the limit; room comes back at most half a second (0.8 %) late.
"""

__all__ = ["SLOTS", "SLOT_S", "WINDOW_S", "Window", "slot_at"]

WINDOW_S = 60.0
SLOT_S = 0.5
"""A power of two, so that the slot of a time is exact in floating point."""
SLOTS = int(WINDOW_S / SLOT_S) + 1
"""The slots of a minute, and the one that is still filling."""


def slot_at(now: float) -> int:
    """The number of the slot that a time falls into."""
    return int(now / SLOT_S)


class Window:
    """Amounts by slot, and their sum. Everything takes a constant time."""

    __slots__ = ("_ring", "head", "name", "total")

    def __init__(self, name: str, head: int) -> None:
        self.name = name
        """What the database calls it."""
        self.head = head
        """The newest slot; those older than `SLOTS` before it are gone."""
        self.total = 0
        self._ring = [0] * SLOTS

    def advance(self, slot: int) -> None:
        """Let time pass up to `slot`; an earlier one changes nothing."""
        gap = slot - self.head
        if gap <= 0:
            return
        if self.total:
            if gap >= SLOTS:
                self._ring = [0] * SLOTS
                self.total = 0
            else:
                ring = self._ring
                for each in range(self.head + 1, slot + 1):
                    at = each % SLOTS
                    if ring[at]:
                        self.total -= ring[at]
                        ring[at] = 0
        self.head = slot

    def add(self, slot: int, amount: int) -> None:
        """Count an amount (or take one back) in a slot up to the head; a slot that is gone stays so."""
        if slot > self.head - SLOTS:
            self._ring[slot % SLOTS] += amount
            self.total += amount

    def amount(self, slot: int) -> int:
        """What the slot holds; 0 when it is gone."""
        return self._ring[slot % SLOTS] if slot > self.head - SLOTS else 0

    def frees_at(self, needed: int) -> float:
        """When `needed` of what is counted now will have left the window, in seconds."""
        left = needed
        for slot in range(self.head - SLOTS + 1, self.head + 1):
            left -= self._ring[slot % SLOTS]
            if left <= 0:
                return (slot + SLOTS) * SLOT_S
        return (self.head + SLOTS) * SLOT_S

    def newest(self) -> int | None:
        """The newest slot that holds anything; None when the window is empty."""
        if self.total:
            if self._ring[self.head % SLOTS]:
                return self.head
            for slot in range(self.head - 1, self.head - SLOTS, -1):
                if self._ring[slot % SLOTS]:
                    return slot
        return None
