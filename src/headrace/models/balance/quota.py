"""What a provider's rate-limit headers leave us, counted on between two answers."""

import math

from headrace.models.backend import RateLimits

__all__ = ["Quota"]


class _Bucket:
    """One quantity: what was left when the provider last said so, filling up until its reset."""

    __slots__ = ("_at", "_left", "_limit", "_reset_s")

    def __init__(self) -> None:
        self._left = self._limit = math.inf
        self._at = self._reset_s = 0.0

    def told(self, limit: int | None, left: int | None, reset_s: float | None, now: float) -> None:
        if left is None:
            return
        self._left = float(left)
        self._limit = math.inf if limit is None else float(limit)
        self._reset_s = 60.0 if reset_s is None else reset_s
        self._at = now

    def take(self, amount: float) -> None:
        self._left -= amount

    def wait_s(self, amount: float, now: float) -> float:
        """Seconds until so much is there; 0 when it is. More than there ever is: until all is."""
        amount = min(amount, self._limit)
        if amount <= self._left:
            return 0.0
        passed_s = now - self._at
        if passed_s >= self._reset_s:
            self._left = self._limit
            return 0.0
        if self._limit == math.inf:
            return self._reset_s - passed_s
        refilled_s = self._reset_s * (amount - self._left) / (self._limit - self._left)
        return max(0.0, refilled_s - passed_s)


class Quota:
    """Requests and tokens that a member's provider still grants."""

    __slots__ = ("_requests", "_tokens", "is_known")

    def __init__(self) -> None:
        self.is_known = False
        self._requests = _Bucket()
        self._tokens = _Bucket()

    def told(self, limits: RateLimits, now: float) -> None:
        """An answer brought these headers."""
        self.is_known = True
        self._requests.told(
            limits.requests_limit, limits.requests_remaining, limits.requests_reset_s, now
        )
        self._tokens.told(limits.tokens_limit, limits.tokens_remaining, limits.tokens_reset_s, now)

    def take(self, size: float) -> None:
        """A call of that size was sent."""
        if self.is_known:
            self._requests.take(1.0)
            self._tokens.take(size)

    def wait_s(self, size: float, now: float) -> float:
        """Seconds until a call of that size may be sent."""
        if not self.is_known:
            return 0.0
        return max(self._requests.wait_s(1.0, now), self._tokens.wait_s(size, now))
