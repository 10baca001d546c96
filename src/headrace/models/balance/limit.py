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
_USED = 0.9
"""One that is not used up to here says nothing of whether there is more room."""
_PATIENCE = 5
"""Windows between two steps up beside a limit that was hit before."""
_HELPLESS = 0.5
_HELPLESS_S = 0.7
"""With half of the calls each still waits more than this part: it is not our calls that queue."""


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
        "_trouble",
        "value",
    )

    def __init__(self, declared: int | None) -> None:
        self._declared = math.inf if declared is None else float(declared)
        self.value = self._declared
        self._ceiling = math.inf
        """Where there was trouble the last time."""
        self._base_s = math.inf
        """Least TTFT seen: what a call waits where nobody queues."""
        self._trouble: tuple[float, float] | None = None
        """Limit and least TTFT when the queue began that still stands; None: none does."""
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

    def saw_answer(self, ttft_s: float | None, outstanding: int, now: float) -> None:
        """An answer began, with so many calls there; or ended, if it came whole (TTFT: None)."""
        if not self._calls:
            self._began = now
        self._calls += 1
        if ttft_s is not None and ttft_s < self._least_s:
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
        self._base_s = min(self._base_s, least_s)
        queues = self._base_s * _STANDING + _STANDING_S < least_s < math.inf
        if queues and self._declared == math.inf:
            self._unqueue(least_s, min(self.value, float(most)), now)
        else:
            self._trouble = None
            if self.value < self._declared and most >= self.value // 1.0 * _USED - 0.5:
                self._grow()
        self._restart(now)

    def _unqueue(self, least_s: float, value: float, now: float) -> None:
        """A queue stands over there: take the limit down, as long as that helps."""
        if self._trouble is None:
            self._trouble = (value, least_s)
        limit, waited_s = self._trouble
        if value <= limit * _HELPLESS and least_s > waited_s * _HELPLESS_S:
            # It has become slower, or others queue there: what we send makes no difference.
            self._base_s = least_s
            self.value = self._ceiling = self._declared
            self._trouble = None
        else:
            self._ceiling = value
            self._shrink(max(1.0, value * _SHRINK), now)

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
