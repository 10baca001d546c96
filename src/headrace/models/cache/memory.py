"""Answers in memory, bounded by bytes: the least recently used goes first, one-off questions before all.

A segmented LRU: what was asked once waits in one segment, what was asked again moves to a second
that holds up to four fifths. A run of questions that nobody repeats empties the first only. Both
are ordered dictionaries, so every move is O(1). Measured against a plain LRU: docs/decisions/0051.
"""

from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Kept", "MemoryStore"]

OVERHEAD_BYTES = 600
"""Of one entry beside its payload: key, objects, places in two tables and a queue; measured."""
PROTECTED_SHARE = 0.8


@dataclass(frozen=True, slots=True)
class Kept:
    """One entry."""

    payload: bytes
    expires_at: float
    size_bytes: int


class MemoryStore:
    """See the module."""

    def __init__(self, max_bytes: int, *, gone: Callable[[bytes], None] | None = None) -> None:
        """
        Args:
            gone: told the key of each entry that leaves, for whatever reason.
        """
        self._max_bytes = max_bytes
        self._gone = gone
        self._once: OrderedDict[bytes, Kept] = OrderedDict()
        self._again: OrderedDict[bytes, Kept] = OrderedDict()
        self._again_bytes = 0
        self._expiring: deque[tuple[float, bytes]] = deque()
        self.size_bytes = 0
        self.evictions = 0
        """Entries that left for want of room."""

    def __len__(self) -> int:
        return len(self._once) + len(self._again)

    def get(self, key: bytes, now: float) -> bytes | None:
        """The payload, which counts as used; None for none, or one past its time."""
        kept = self._once.get(key)
        if kept is None:
            kept = self._again.get(key)
            if kept is None:
                return None
            self._again.move_to_end(key)
        else:
            del self._once[key]
            self._again[key] = kept
            self._again_bytes += kept.size_bytes
            self._demote()
        if kept.expires_at <= now:
            self.discard(key)
            return None
        return kept.payload

    def peek(self, key: bytes, now: float) -> bytes | None:
        """`get`, without counting as a use."""
        kept = self._once.get(key) or self._again.get(key)
        return None if kept is None or kept.expires_at <= now else kept.payload

    def put(self, key: bytes, payload: bytes, expires_at: float, *, more_bytes: int = 0) -> bool:
        """Keep it in place of what was there. False: it alone would be too large.

        Args:
            more_bytes: what else is kept elsewhere as long as this entry is here.
        """
        self.discard(key)
        size = len(payload) + OVERHEAD_BYTES + more_bytes
        if size > self._max_bytes:
            return False
        self._once[key] = Kept(payload, expires_at, size)
        self._expiring.append((expires_at, key))
        self.size_bytes += size
        self._evict()
        return key in self._once

    def discard(self, key: bytes) -> None:
        kept = self._once.pop(key, None)
        if kept is None:
            kept = self._again.pop(key, None)
            if kept is None:
                return
            self._again_bytes -= kept.size_bytes
        self.size_bytes -= kept.size_bytes
        if self._gone is not None:
            self._gone(key)

    def expire(self, now: float) -> None:
        """Drop what is past its time, so that no text stays longer than declared."""
        expiring = self._expiring
        while expiring and expiring[0][0] <= now:
            _, key = expiring.popleft()
            kept = self._once.get(key) or self._again.get(key)
            # It may have been put anew meanwhile; then its own place in the queue counts.
            if kept is not None and kept.expires_at <= now:
                self.discard(key)

    def clear(self) -> None:
        for key in [*self._once, *self._again]:
            self.discard(key)
        self._expiring.clear()

    def resize(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._demote()
        self._evict()

    def _demote(self) -> None:
        while self._again_bytes > self._max_bytes * PROTECTED_SHARE and len(self._again) > 1:
            key, kept = self._again.popitem(last=False)
            self._again_bytes -= kept.size_bytes
            self._once[key] = kept

    def _evict(self) -> None:
        while self.size_bytes > self._max_bytes:
            self.discard(next(iter(self._once or self._again)))
            self.evictions += 1
        # Entries that left early stay in this queue; it must not outgrow what is kept.
        if len(self._expiring) > 2 * len(self) + 1024:
            self._expiring = deque(
                sorted(
                    (kept.expires_at, key)
                    for part in (self._once, self._again)
                    for key, kept in part.items()
                )
            )
