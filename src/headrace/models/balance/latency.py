"""How fast a member is: time to first token and pace of work, quick to rise and slow to fall."""

import math

__all__ = ["Latency", "Pool"]

_FALL_S = 5.0
"""Time constant of a falling TTFT; rising it goes half the way at once (peak-EWMA of Finagle)."""
_RISE = 0.5
_KEEP = 0.9
"""What a finished call leaves of the weight of those before it: the last ten or so decide."""
_POOL_KEEP = 0.999
_FORGET_S = 10.0
"""One that has answered nothing for so long counts half as slow as it was: it is asked again."""


class Pool:
    """What all members together tell of a call that nothing is known of."""

    __slots__ = ("_seconds", "_weight", "_work", "busiest", "mean_size", "pace_s")

    def __init__(self) -> None:
        self._seconds = self._work = self._weight = 0.0
        self.pace_s = 0.0
        """Seconds per token of estimated work, over all members."""
        self.mean_size = 1.0
        self.busiest = 8.0
        """Most calls ever seen at one member: what one of unknown capacity is thought to take."""

    def saw_done(self, seconds: float, size: float) -> None:
        """A call of that size took so long after its first byte."""
        self._seconds = self._seconds * _POOL_KEEP + seconds
        self._work = self._work * _POOL_KEEP + size
        self._weight = self._weight * _POOL_KEEP + 1.0
        self.pace_s = self._seconds / self._work
        self.mean_size = self._work / self._weight


class Latency:
    """One member's speed as lately seen. Times are seconds on one monotonic clock."""

    __slots__ = ("_first_at", "_pace_at", "_seconds", "_work", "pace_s", "tpot_s", "ttft_s")

    def __init__(self) -> None:
        self.ttft_s: float | None = None
        """Peak-EWMA; None until it has answered once."""
        self.tpot_s: float | None = None
        self.pace_s: float | None = None
        """Seconds after the first byte per token of *estimated* work: this is what a pick can use."""
        self._seconds = self._work = 0.0
        self._first_at = self._pace_at = 0.0

    def saw_first(self, ttft_s: float, now: float) -> None:
        """A first byte came that long after its call was sent."""
        before = self.ttft_s
        if before is None:
            self.ttft_s = ttft_s
        elif ttft_s > before:
            self.ttft_s = before + _RISE * (ttft_s - before)
        else:
            share = math.exp((self._first_at - now) / _FALL_S)
            self.ttft_s = ttft_s + share * (before - ttft_s)
        self._first_at = now

    def saw_done(self, seconds: float, size: float, tokens: int, now: float) -> None:
        """A call went well; its answer took so long after the first byte."""
        self._seconds = self._seconds * _KEEP + seconds
        self._work = self._work * _KEEP + size
        self.pace_s = self._seconds / self._work
        self._pace_at = now
        if tokens > 1:
            tpot_s = seconds / (tokens - 1)
            before = self.tpot_s
            self.tpot_s = tpot_s if before is None else before + 0.1 * (tpot_s - before)

    def finish_s(self, size: float, waiting_s: float, pool: Pool, now: float) -> float:
        """How long a call of that size is expected to take here, were there no others.

        Args:
            size: estimated work.
            waiting_s: how long the oldest call here has been waiting for its first byte.
            pool: what is assumed of a member that has not answered yet, or not for long.
        """
        first_s = self.ttft_s
        if first_s is None:
            first_s = 0.0
        else:
            first_s /= 1.0 + (now - self._first_at) / _FORGET_S
        if waiting_s > first_s:
            first_s = waiting_s
        pace_s = self.pace_s
        usual_s = pool.pace_s
        if pace_s is None:
            pace_s = usual_s
        elif pace_s > usual_s:
            pace_s = usual_s + (pace_s - usual_s) / (1.0 + (now - self._pace_at) / _FORGET_S)
        return first_s + pace_s * size
