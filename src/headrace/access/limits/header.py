"""The standard `x-ratelimit-*` headers, in the format of OpenAI's."""

from collections.abc import Sequence
from typing import TypeAlias

from headrace.access.limits.plan import Plan, Rate
from headrace.access.limits.window import SLOT_S, SLOTS

__all__ = ["Headers", "as_duration", "headers_of"]

Headers: TypeAlias = list[tuple[bytes, bytes]]


def as_duration(seconds: float) -> str:
    """A duration as OpenAI writes it: `1s`, `6m0s`, `1h2m3s`, `120ms`."""
    if 0 < seconds < 1:
        return f"{round(seconds * 1000)}ms"
    minutes, rest = divmod(round(seconds, 3), 60)
    hours, minutes = divmod(int(minutes), 60)
    said = f"{hours}h" if hours else ""
    if hours or minutes:
        said += f"{minutes}m"
    return f"{said}{rest:.3f}".rstrip("0").rstrip(".") + "s"


_RESETS = [as_duration(slots * SLOT_S).encode() for slots in range(SLOTS + 1)]
"""By the slots until a window is empty: rendering them each time took most of the time."""


def headers_of(plan: Plan, slot: int) -> Headers:
    """What is left of the tightest limit on requests and of that on tokens.

    Args:
        slot: the one that is filling now.
    """
    found: Headers = []
    if plan.requests:
        rate, left = _tightest(plan.requests)
        found += (
            (b"x-ratelimit-limit-requests", b"%d" % rate.limit),
            (b"x-ratelimit-remaining-requests", b"%d" % left),
            (b"x-ratelimit-reset-requests", _reset(rate, slot)),
        )
    if plan.tokens:
        rate, left = _tightest(plan.tokens)
        found += (
            (b"x-ratelimit-limit-tokens", b"%d" % rate.limit),
            (b"x-ratelimit-remaining-tokens", b"%d" % left),
            (b"x-ratelimit-reset-tokens", _reset(rate, slot)),
        )
    return found


def _tightest(rates: Sequence[Rate]) -> tuple[Rate, int]:
    """The limit with the least left, and that."""
    found = rates[0]
    left = found.limit - found.window.total
    for rate in rates[1:]:
        if rate.limit - rate.window.total < left:
            found, left = rate, rate.limit - rate.window.total
    return found, max(0, left)


def _reset(rate: Rate, slot: int) -> bytes:
    """Until all of the limit is there again, if nobody comes meanwhile."""
    newest = rate.window.newest()
    return _RESETS[0 if newest is None else min(SLOTS, max(0, newest + SLOTS - slot))]
