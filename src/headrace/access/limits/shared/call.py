"""A call that waits for Redis: what it asks, and what the answer means."""

import asyncio

from headrace.access.limits.calendar import Day
from headrace.access.limits.ledger import PLACE_WAIT_S
from headrace.access.limits.plan import Entry, Plan
from headrace.access.limits.refusal import Refusal
from headrace.access.limits.rule import Dimension
from headrace.access.limits.shared.wire import Answer, CallRequest

__all__ = ["Call", "places_of", "refusal_of", "request_of"]


class Call:
    """A call that waits for Redis to let it in."""

    __slots__ = ("answered", "day", "lease", "now", "plan", "tokens", "usd")

    def __init__(
        self, plan: Plan, tokens: int, usd: float, now: float, *, day: Day, lease: str
    ) -> None:
        self.plan = plan
        self.tokens = tokens
        self.usd = usd
        self.now = now
        self.day = day
        self.lease = lease
        self.answered: asyncio.Future[Entry | Refusal | None] = (
            asyncio.get_running_loop().create_future()
        )
        """None: Redis is away."""

    def tell(self, outcome: Entry | Refusal | None) -> bool:
        """Let whoever waits go on. False: nobody waits any more."""
        if self.answered.done():
            return False
        self.answered.set_result(outcome)
        return True


def places_of(plan: Plan) -> tuple[str, ...]:
    return tuple(each.name for each in plan.concurrent)


def request_of(call: Call) -> CallRequest:
    plan = call.plan
    return CallRequest(
        tokens=call.tokens,
        usd=call.usd,
        lease=call.lease,
        requests=[(each.window.name, each.limit) for each in plan.requests],
        rates=[(each.window.name, each.limit) for each in plan.tokens],
        places=[(each.name, each.limit) for each in plan.concurrent],
        budgets=[
            *((each.spend.name, call.day.day, each.limit) for each in plan.usd_day),
            *((each.spend.name, call.day.month, each.limit) for each in plan.usd_month),
        ],
    )


def refusal_of(call: Call, answer: Answer) -> Refusal:
    """Of several limits without room, the one that takes longest."""
    return max(
        (_one_refusal(call, *refused) for refused in answer.refused), key=lambda each: each.weight
    )


def _one_refusal(call: Call, kind: int, which: int, used: float, wait: float) -> Refusal:
    plan, day = call.plan, call.day
    if kind == 2:
        place = plan.concurrent[which]
        return Refusal(place.rule, "concurrent", place.limit, used, 1, PLACE_WAIT_S)
    if kind == 3:
        is_day = which < len(plan.usd_day)
        budget = plan.usd_day[which] if is_day else plan.usd_month[which - len(plan.usd_day)]
        ends_at = day.ends_at if is_day else day.month_ends_at
        dimension: Dimension = "usd_per_day" if is_day else "usd_per_month"
        wait_s = None if wait < 0 else ends_at - call.now
        return Refusal(budget.rule, dimension, budget.limit, used, call.usd, wait_s)
    rate = (plan.tokens if kind else plan.requests)[which]
    dimension = "tokens_per_minute" if kind else "requests_per_minute"
    asked = call.tokens if kind else 1
    return Refusal(rate.rule, dimension, rate.limit, used, asked, None if wait < 0 else wait)
