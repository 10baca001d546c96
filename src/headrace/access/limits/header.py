"""The standard `x-ratelimit-*` headers, in the format of OpenAI's."""

from collections.abc import Sequence
from typing import TypeAlias

from headrace.access.limits.plan import Plan, Rate, Seen
from headrace.access.limits.window import SLOT_S, SLOTS, Window

__all__ = ["Headers", "as_duration", "headers_of", "lines_of"]

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
    seen = plan.seen
    if plan.requests:
        limit, left, reset = _tightest(
            plan.requests, slot, seen, None if seen is None else seen.requests
        )
        found += (
            (b"x-ratelimit-limit-requests", b"%d" % limit),
            (b"x-ratelimit-remaining-requests", b"%d" % left),
            (b"x-ratelimit-reset-requests", reset),
        )
    if plan.tokens:
        limit, left, reset = _tightest(
            plan.tokens, slot, seen, None if seen is None else seen.tokens
        )
        found += (
            (b"x-ratelimit-limit-tokens", b"%d" % limit),
            (b"x-ratelimit-remaining-tokens", b"%d" % left),
            (b"x-ratelimit-reset-tokens", reset),
        )
    return found


_LINES = (
    b"x-ratelimit-limit-requests: %d\r\nx-ratelimit-remaining-requests: %d\r\n"
    b"x-ratelimit-reset-requests: %b\r\n"
    b"x-ratelimit-limit-tokens: %d\r\nx-ratelimit-remaining-tokens: %d\r\n"
    b"x-ratelimit-reset-tokens: %b\r\n"
)


def lines_of(plan: Plan, slot: int) -> bytes:
    """The same, as they stand in an answer's head."""
    requests, tokens = plan.requests, plan.tokens
    if plan.seen is not None or len(requests) != 1 or len(tokens) != 1:
        return b"".join([b"%b: %b\r\n" % each for each in headers_of(plan, slot)])
    # As most services have it; each figure here is one that every answer waits for.
    _, calls, most_calls = requests[0]
    _, used, most_used = tokens[0]
    return _LINES % (
        most_calls,
        max(0, most_calls - calls.total),
        _RESETS[_reset(calls, slot)],
        most_used,
        max(0, most_used - used.total),
        _RESETS[_reset(used, slot)],
    )


def _reset(window: Window, slot: int) -> int:
    """How many slots it takes until the window is empty, if nobody comes meanwhile."""
    newest = window.newest()
    return 0 if newest is None else min(SLOTS, max(0, newest + SLOTS - slot))


def _tightest(
    rates: Sequence[Rate], slot: int, seen: Seen | None, totals: Sequence[int] | None
) -> tuple[int, int, bytes]:
    """The limit with the least left, that, and when all of it is back if nobody comes meanwhile."""
    if totals is None:
        totals = [rate.window.total for rate in rates]
    at = 0
    left = rates[0].limit - totals[0]
    for i in range(1, len(rates)):
        if rates[i].limit - totals[i] < left:
            at, left = i, rates[i].limit - totals[i]
    newest = rates[at].window.newest() if seen is None else seen.slot
    if newest is None or not totals[at]:
        return rates[at].limit, max(0, left), _RESETS[0]
    reset = min(SLOTS, max(0, newest + SLOTS - slot))
    return rates[at].limit, max(0, left), _RESETS[reset]
