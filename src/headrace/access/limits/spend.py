"""What was spent in each calendar period: one counter of US dollars a day or month."""

__all__ = ["Spend"]

_PERIODS = 4
"""The current period and a few before it: a clock that is set back finds what it had counted."""


class Spend:
    """Dollars by period. The period of a call is the one it began in."""

    __slots__ = ("_usd_by_period", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        """What the database calls it."""
        self._usd_by_period: dict[int, float] = {}

    def spent(self, period: int) -> float:
        return self._usd_by_period.get(period, 0.0)

    def add(self, period: int, usd: float) -> None:
        """Count an amount, or take one back."""
        spent = self._usd_by_period
        # Sums of floats do not cancel exactly; nothing is ever owed to the caller.
        spent[period] = max(0.0, spent.get(period, 0.0) + usd)
        if len(spent) > _PERIODS:
            del spent[min(each for each in spent if each != period)]
