"""How many calls a member takes at once: declared, or learned from what happens."""

import math

__all__ = ["Limit"]

_WINDOW_S = 1.0
_WINDOW_CALLS = 8
"""A window is closed after both, so that the least TTFT in it is one of a small prompt."""
_STANDING = 3.0
_STANDING_S = 0.25
"""Even the quickest call of a window waited so much longer than usual: it queues over there
(CoDel's standing queue, which a burst or a long prompt does not look like)."""
_SHRINK = 0.9
_THROTTLED_SHRINK = 0.9
_GROW = 1.1
_PATIENCE = 5
"""Windows between two steps up beside a limit that was hit before."""
_BASE_DRIFT = 1.002
"""A window; so that one that has become slower for good is not held for queueing for ever."""


class Limit:
    """How many calls are sent to a member at once.

    Unlimited until there is evidence (429, or a queue over there); then additive increase and
    multiplicative decrease around the point where it showed. A declared capacity is never
    exceeded, and only a 429 takes it down.
    """

    __slots__ = (
        "_base_s",
        "_began",
        "_calls",
        "_ceiling",
        "_clean",
        "_declared",
        "_least_s",
        "_most",
        "_shrunk_at",
        "value",
    )

    def __init__(self, declared: int | None) -> None:
        self._declared = math.inf if declared is None else float(declared)
        self.value = self._declared
        self._ceiling = math.inf
        """Where there was trouble the last time."""
        self._base_s = math.inf
        """Least TTFT seen: what a call waits where nobody queues."""
        self._clean = 0
        self._shrunk_at = -math.inf
        self._began = 0.0
        self._calls = self._most = 0
        self._least_s = math.inf

    def redeclare(self, declared: int | None) -> None:
        """The configuration says something else now."""
        was, self._declared = self._declared, math.inf if declared is None else float(declared)
        if was != self._declared:
            self.value = self._declared
            self._ceiling = math.inf

    def saw_first(self, ttft_s: float, outstanding: int, now: float) -> None:
        """A first byte came, with so many calls there at that moment."""
        if not self._calls:
            self._began = now
        self._calls += 1
        if ttft_s < self._least_s:
            self._least_s = ttft_s
        if outstanding > self._most:
            self._most = outstanding
        if self._calls >= _WINDOW_CALLS and now - self._began >= _WINDOW_S:
            self._close(now)

    def saw_throttled(self, outstanding: int, sent_at: float, now: float) -> None:
        """It refused a call for lack of room, with so many there, that one among them.

        Of the calls sent before the last step down none counts again.
        """
        if sent_at < self._shrunk_at:
            return
        self._ceiling = min(self.value, float(outstanding))
        self._shrink(max(1.0, min(self._ceiling * _THROTTLED_SHRINK, outstanding - 1.0)), now)

    def _close(self, now: float) -> None:
        least_s, most = self._least_s, self._most
        self._base_s = min(self._base_s * _BASE_DRIFT, least_s)
        queued = least_s > self._base_s * _STANDING + _STANDING_S
        if queued and self._declared == math.inf:
            self._ceiling = min(self.value, float(most))
            self._shrink(max(1.0, self._ceiling * _SHRINK), now)
        elif most >= self.value * 0.9 - 1.0 and self.value < self._declared:
            self._grow()
        self._restart(now)

    def _grow(self) -> None:
        self._clean += 1
        if self.value * _GROW < self._ceiling or self.value > self._ceiling * 1.2:
            self.value = max(self.value + 1.0, self.value * _GROW)
        elif self._clean >= _PATIENCE:
            self.value += 1.0
            self._clean = 0
        self.value = min(self.value, self._declared)

    def _shrink(self, value: float, now: float) -> None:
        self.value = value
        self._shrunk_at = now
        self._clean = 0
        self._restart(now)

    def _restart(self, now: float) -> None:
        self._began = now
        self._calls = 0
        self._least_s = math.inf
        self._most = 0
