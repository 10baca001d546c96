"""Why a call does not fit, and what its caller is told."""

import math
from dataclasses import dataclass

from headrace.access.limits.errors import LimitExceeded, QuotaExceeded
from headrace.access.limits.rule import Dimension, Rule, is_money

__all__ = ["Refusal"]

_WHAT = {
    "requests_per_minute": "requests per minute",
    "tokens_per_minute": "tokens per minute",
    "concurrent": "calls at the same time",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """One limit that has no room for a call."""

    rule: Rule
    dimension: Dimension
    limit: float
    used: float
    """Reserved amounts included."""
    asked: float
    wait_s: float | None
    """Until the same call would fit, if nobody else comes; None: it is larger than the limit."""

    @property
    def weight(self) -> float:
        """The larger, the more there is to say to the caller."""
        return math.inf if self.wait_s is None else self.wait_s

    def error(self) -> LimitExceeded:
        """What the caller gets."""
        if is_money(self.dimension):
            return self._quota()
        wait = self.wait_s
        if wait is None:
            hint = "a call this large never fits: shorten the prompt or lower max_tokens"
        elif self.dimension == "concurrent":
            hint = "wait for one of the running calls to end"
        else:
            hint = f"try again in {wait:.1f} s"
        return LimitExceeded(
            f"rate limit reached for {_WHAT[self.dimension]} ({self.rule.label}): "
            f"limit {self.limit:g}, used {self.used:g}, requested {self.asked:g}",
            hint=hint,
            retry_after_s=wait,
        )

    def _quota(self) -> QuotaExceeded:
        period = "day" if self.dimension == "usd_per_day" else "month"
        asked = f", ${self.asked:.4f} may be needed" if self.asked else ""
        if self.wait_s is None:
            hint = "a call this expensive never fits: shorten the prompt or lower max_tokens"
        else:
            hint = f"the next {period} begins in {_long(self.wait_s)}"
        return QuotaExceeded(
            f"the budget of ${self.limit:.2f} per {period} ({self.rule.label}) is used up: "
            f"${self.used:.4f} spent{asked}",
            hint=hint,
            retry_after_s=self.wait_s,
        )


def _long(seconds: float) -> str:
    minutes = math.ceil(seconds / 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
