"""Which region is nearest: by measured round trips."""

__all__ = ["Regions"]

_GAIN = 0.2
_NEAR_S = 0.005
_NEAR = 1.25
"""Regions whose round trips differ by less share a rank: the order does not flap."""


class Regions:
    """Round trips from here to each region, and their ranks: 0 is nearest."""

    def __init__(self, here: str | None) -> None:
        self._here = here
        self._rtt_s: dict[str, float] = {}

    def saw_rtt(self, region: str, rtt_s: float) -> None:
        """One round trip, as when a connection opens."""
        before = self._rtt_s.get(region)
        self._rtt_s[region] = rtt_s if before is None else before + _GAIN * (rtt_s - before)

    def rtt_s(self, region: str) -> float | None:
        return self._rtt_s.get(region)

    def ranks(self, regions: set[str | None]) -> dict[str | None, int]:
        """Rank of each: our own region first, then by round trip; unmeasured ones after these.

        Without a region of our own and without any measurement all are alike.
        """
        known = sorted((self._rtt_s[region], region) for region in regions if region in self._rtt_s)
        ranks: dict[str | None, int] = {}
        rank, nearest_s = 0, None
        if self._here in regions and self._here is not None:
            ranks[self._here] = 0
            rank = 1
        for rtt_s, region in known:
            if region in ranks:
                continue
            if nearest_s is not None and rtt_s > max(nearest_s * _NEAR, nearest_s + _NEAR_S):
                rank += 1
                nearest_s = None
            if nearest_s is None:
                nearest_s = rtt_s
            ranks[region] = rank
        last = rank + 1 if known else rank
        return {region: ranks.get(region, last) for region in regions}
