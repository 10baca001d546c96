"""Failed sign-ins: how many an address may make.

A key has 256 random bits, so guessing is hopeless anyway; the limit keeps a guessing program from
costing anything and makes it visible.
"""

import math
from collections import OrderedDict

__all__ = ["SignInLimit"]

_ADDRESSES = 1024
"""Addresses remembered; beyond that the one seen longest ago is forgotten."""


class SignInLimit:
    """A bucket per address: `burst` failures at once, one more every `refill_s` seconds."""

    def __init__(self, *, burst: int = 10, refill_s: float = 6.0) -> None:
        self._burst = burst
        self._refill_s = refill_s
        self._failed: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """Failures that still count, and the time at which they were counted."""

    def wait_s(self, address: str, *, now: float) -> int:
        """Whole seconds until this address may try again; 0 when it may now.

        Args:
            now: seconds of any clock that only goes forward.
        """
        over = self._counting(address, now) + 1 - self._burst
        # Rounded first: four seconds and a rounding error are not five.
        return max(0, math.ceil(round(over * self._refill_s, 6)))

    def failed(self, address: str, *, now: float) -> None:
        """Count a failure."""
        self._failed[address] = (self._counting(address, now) + 1, now)
        self._failed.move_to_end(address)
        if len(self._failed) > _ADDRESSES:
            self._failed.popitem(last=False)

    def _counting(self, address: str, now: float) -> float:
        failures, since = self._failed.get(address, (0.0, now))
        return max(0.0, failures - (now - since) / self._refill_s)
