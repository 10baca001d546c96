"""When a call that is slow to begin is sent to a second member as well (Dean and Barroso)."""

from headrace.models.balance.settings import HedgeSettings

__all__ = ["Hedge"]

_KEPT = 512
_EVERY = 64
_SAVED = 10.0


class Hedge:
    """How long to wait before a second call, and whether one may be made.

    The caller waits `delay_s` for the first byte, asks `spend`, acquires a ticket that excludes
    the first one's member, and cancels the slower of the two.
    """

    def __init__(self, settings: HedgeSettings) -> None:
        self._settings = settings
        self._seen = [0.0] * _KEPT
        self._count = 0
        self._saved = 0.0
        self._delay_s: float | None = None

    def saw_first(self, ttft_s: float) -> None:
        """A first byte came after so long."""
        if not self._settings.share:
            return
        self._seen[self._count % _KEPT] = ttft_s
        self._count += 1
        self._saved = min(self._saved + self._settings.share, _SAVED)
        if self._count % _EVERY == 0:
            seen = sorted(self._seen[: min(self._count, _KEPT)])
            self._delay_s = seen[int(len(seen) * self._settings.quantile)]

    @property
    def delay_s(self) -> float | None:
        """Wait so long before a second call; None: make none (off, or too little was seen)."""
        return self._delay_s

    def spend(self) -> bool:
        """Take one of the allowed second calls; False when none is left."""
        if self._saved < 1.0:
            return False
        self._saved -= 1.0
        return True
