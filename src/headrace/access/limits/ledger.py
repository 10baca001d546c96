"""The ledger: what is used by whom, and whether one call more fits. Pure: no clock, no I/O.

A call counts in every rule that matches it, and all of them must have room. Nothing is counted
for a call that is refused. Reservations stand for what a call may use until it is settled.

Not covered: other processes. Each counts for itself, unless they share a Redis (`shared/`).
"""

from collections.abc import Iterable, Mapping
from typing import TypeAlias

from headrace.access.limits.calendar import Calendar, Day
from headrace.access.limits.plan import Budget, Counters, Entry, Plan, Rate
from headrace.access.limits.refusal import Refusal
from headrace.access.limits.rule import Dimension, Rule, counter_name, scope_of
from headrace.access.limits.spend import Spend
from headrace.access.limits.window import SLOTS, Window, slot_at
from headrace.access.principal import Principal

__all__ = ["Change", "Ledger", "Stored", "changes_of"]

Change: TypeAlias = tuple[str, int, float]
"""A counter's name, a slot or period, and what it holds there now."""
Stored: TypeAlias = Mapping[str, Mapping[int, float]]
"""Amounts by slot or period, by counter."""

IDLE_S = 120.0
"""After so long without a call a plan is forgotten, and its counters too if they are empty."""
PLACE_WAIT_S = 1.0
"""What is said of when a running call will end, which nobody knows."""
MOST_PLANS = 50_000
"""Beyond this the oldest plan goes even if it is in use: finding it again takes some microseconds."""
_SWEPT = 2
"""Plans looked at for each new one, so that there are never many more than are in use."""


class Ledger:
    """All counters of one process. `now` is seconds since the epoch, and may go backwards."""

    def __init__(
        self, rules: Iterable[Rule], calendar: Calendar, stored: Stored | None = None
    ) -> None:
        """
        Args:
            stored: what an earlier process had counted.
        """
        self._rules = tuple(rules)
        self._calendar = calendar
        self._stored = dict(stored or {})
        self._by_scope: dict[tuple[object, ...], Counters] = {}
        self._plans: dict[tuple[str, str], Plan] = {}
        self._last = 0.0
        self._ahead = 0.0
        self._share = 1

    @property
    def rules(self) -> tuple[Rule, ...]:
        return self._rules

    @property
    def slot(self) -> int:
        """The slot of the latest time that windows have seen."""
        return slot_at(self._last)

    def day(self, now: float) -> Day:
        """The day that budgets count at a time."""
        return self._calendar.at(now)

    def change(self, rules: Iterable[Rule], calendar: Calendar) -> None:
        """Other rules from now on. Rules for the same calls go on with what they have counted."""
        self._rules = tuple(rules)
        self._calendar = calendar
        self._drop_plans()

    def divide(self, share: int) -> None:
        """Allow one of `share` equal parts of each limit from now on."""
        if share != self._share:
            self._share = share
            self._drop_plans()

    def plan(self, principal: Principal, model: str, now: float) -> Plan:
        """The limits that a call meets."""
        key = (principal.key_id, model)
        plan = self._plans.get(key)
        if plan is None:
            slot = slot_at(self._steady(now))
            matched = [
                (rule, self._counters(rule, principal, model, slot))
                for rule in self._rules
                if rule.matches(principal, model)
            ]
            self._sweep_some(now)
            plan = Plan(matched, share=self._share, used_at=now)
            for each in plan.counters:
                each.plans += 1
            self._plans[key] = plan
        plan.used_at = now
        return plan

    def known_plan(self, principal: Principal, model: str) -> Plan | None:
        """The same, if a call has met them lately."""
        return self._plans.get((principal.key_id, model))

    def admit(self, plan: Plan, tokens: int, usd: float, now: float) -> Entry | Refusal:
        """Count a call if every limit has room; of several that have none, the longest to wait for.

        Args:
            tokens: what it may use of them; at least 1.
            usd: what it may cost; 0 where nobody can say.
        """
        steady = self._steady(now)
        slot = slot_at(steady)
        refused: list[Refusal] = []
        for rate in plan.requests:
            window = rate.window
            window.advance(slot)
            if window.total >= rate.limit:
                refused.append(_full(rate, "requests_per_minute", 1, steady))
        for rate in plan.tokens:
            window = rate.window
            window.advance(slot)
            if window.total + tokens > rate.limit:
                refused.append(_full(rate, "tokens_per_minute", tokens, steady))
        for rule, counters, limit, _ in plan.concurrent:
            if counters.active >= limit:
                active = counters.active
                refused.append(Refusal(rule, "concurrent", limit, active, 1, PLACE_WAIT_S))
        day = self._calendar.at(now)
        for budget in plan.usd_day:
            spent = budget.spend.spent(day.day)
            if spent >= budget.limit or spent + usd > budget.limit:
                refused.append(_overspent(budget, "usd_per_day", spent, usd, day.ends_at - now))
        for budget in plan.usd_month:
            spent = budget.spend.spent(day.month)
            if spent >= budget.limit or spent + usd > budget.limit:
                wait = day.month_ends_at - now
                refused.append(_overspent(budget, "usd_per_month", spent, usd, wait))
        if refused:
            return max(refused, key=lambda each: each.weight)
        return _entered(plan, slot, day, tokens, usd)

    def enter(self, plan: Plan, tokens: int, usd: float, now: float) -> Entry:
        """Count a call that somebody else has admitted."""
        slot = slot_at(self._steady(now))
        for rate in (*plan.requests, *plan.tokens):
            rate.window.advance(slot)
        return _entered(plan, slot, self._calendar.at(now), tokens, usd)

    def settle(self, entry: Entry, tokens: int, usd: float, now: float) -> int | None:
        """Put what a call really used in the place of what it had reserved; once.

        What it did not use is given back where it was reserved; what it used beyond that counts
        from now, or a long call could use it when nobody counts any more.

        Returns:
            The slot whose tokens have changed; None when nothing has.
        """
        if entry.is_settled:
            return None
        entry.is_settled = True
        more = tokens - entry.tokens
        owed = usd - entry.usd
        if not more and not owed:
            return None
        slot = slot_at(self._steady(now))
        changed = slot if more > 0 else entry.slot
        if more:
            for rate in entry.plan.tokens:
                rate.window.advance(slot)
                rate.window.add(changed, more)
        if owed:
            for budget in entry.plan.usd_day:
                budget.spend.add(entry.day, owed)
            for budget in entry.plan.usd_month:
                budget.spend.add(entry.month, owed)
        return changed

    def withdraw(self, entry: Entry, now: float) -> None:
        """As if the call had never been counted: its request is given back as well."""
        if not entry.is_settled:
            for rate in entry.plan.requests:
                rate.window.add(entry.slot, -1)
        self.settle(entry, 0, 0.0, now)
        self.leave(entry)

    def leave(self, entry: Entry) -> None:
        """The call is over: its place is free; once."""
        if entry.is_active:
            entry.is_active = False
            for counters in entry.plan.counters:
                counters.active -= 1

    def tidy(self, now: float) -> None:
        """Forget whoever has not called for a while and owes nothing."""
        for key in [k for k, plan in self._plans.items() if now - plan.used_at > IDLE_S]:
            self._forget(self._plans.pop(key))
        slot = slot_at(self._steady(now))
        day = self._calendar.at(now)
        for scope in [k for k, each in self._by_scope.items() if each.is_idle(slot, day)]:
            del self._by_scope[scope]
        for name in [k for k, slots in self._stored.items() if not _counts(k, slots, slot, day)]:
            del self._stored[name]

    def __len__(self) -> int:
        """Scopes in memory."""
        return len(self._by_scope)

    def _steady(self, now: float) -> float:
        """The time for windows: it goes on from where it was when the clock is set back."""
        steady = now + self._ahead
        if steady < self._last:
            self._ahead += self._last - steady
            return self._last
        self._last = steady
        return steady

    def _drop_plans(self) -> None:
        for plan in self._plans.values():
            self._forget(plan)
        self._plans.clear()

    def _forget(self, plan: Plan) -> None:
        for counters in plan.counters:
            counters.plans -= 1

    def _sweep_some(self, now: float) -> None:
        """Look at the plans that have been there longest, a few for each new one."""
        slot = slot_at(self._last)
        day = self._calendar.at(now)
        for _ in range(min(_SWEPT, len(self._plans))):
            key = next(iter(self._plans))
            plan = self._plans.pop(key)
            if now - plan.used_at <= IDLE_S and len(self._plans) < MOST_PLANS - 1:
                self._plans[key] = plan
                continue
            self._forget(plan)
            for counters in plan.counters:
                if counters.is_idle(slot, day):
                    self._by_scope.pop(counters.scope, None)

    def _counters(self, rule: Rule, principal: Principal, model: str, slot: int) -> Counters:
        names = rule.names(principal, model)
        scope = (rule.key, rule.team, rule.model, rule.per, names)
        counters = self._by_scope.get(scope)
        if counters is None:
            counters = self._by_scope[scope] = Counters(scope, names)
        if rule.requests_per_minute is not None and counters.requests is None:
            counters.requests = self._window(rule, "requests_per_minute", names, slot)
        if rule.tokens_per_minute is not None and counters.tokens is None:
            counters.tokens = self._window(rule, "tokens_per_minute", names, slot)
        if rule.usd_per_day is not None and counters.usd_day is None:
            counters.usd_day = self._spend(rule, "usd_per_day", names)
        if rule.usd_per_month is not None and counters.usd_month is None:
            counters.usd_month = self._spend(rule, "usd_per_month", names)
        return counters

    def _window(
        self, rule: Rule, dimension: Dimension, names: tuple[str, ...], slot: int
    ) -> Window:
        name = counter_name(rule, dimension, names)
        window = Window(name, slot)
        for at, amount in self._stored.pop(name, {}).items():
            # A slot of the future: the clock has been set back since. It counts from now.
            window.add(min(at, slot), int(amount))
        return window

    def _spend(self, rule: Rule, dimension: Dimension, names: tuple[str, ...]) -> Spend:
        name = counter_name(rule, dimension, names)
        spend = Spend(name)
        for period, usd in sorted(self._stored.pop(name, {}).items()):
            spend.add(period, usd)
        return spend


def changes_of(entry: Entry, slot: int) -> list[Change]:
    """What the counters that a call concerns hold now, for keeping."""
    plan = entry.plan
    found: list[Change] = [
        (rate.window.name, slot, rate.window.amount(slot))
        for rates in (plan.tokens, plan.requests)
        for rate in rates
    ]
    found += [(each.spend.name, entry.day, each.spend.spent(entry.day)) for each in plan.usd_day]
    found += [
        (each.spend.name, entry.month, each.spend.spent(entry.month)) for each in plan.usd_month
    ]
    return found


def _entered(plan: Plan, slot: int, day: Day, tokens: int, usd: float) -> Entry:
    for counters in plan.counters:
        counters.active += 1
    for rate in plan.requests:
        rate.window.add(slot, 1)
    for rate in plan.tokens:
        rate.window.add(slot, tokens)
    if usd:
        for budget in plan.usd_day:
            budget.spend.add(day.day, usd)
        for budget in plan.usd_month:
            budget.spend.add(day.month, usd)
    return Entry(plan, slot, day, tokens, usd)


def _full(rate: Rate, dimension: Dimension, asked: int, steady: float) -> Refusal:
    window = rate.window
    wait = None
    if asked <= rate.limit:
        wait = window.frees_at(window.total + asked - rate.limit) - steady
    return Refusal(rate.rule, dimension, rate.limit, window.total, asked, wait)


def _overspent(
    budget: Budget, dimension: Dimension, spent: float, asked: float, wait_s: float
) -> Refusal:
    wait = None if asked > budget.limit else wait_s
    return Refusal(budget.rule, dimension, budget.limit, spent, asked, wait)


def _counts(name: str, slots: Mapping[int, float], slot: int, day: Day) -> bool:
    """Whether anything of what a counter held still counts."""
    dimension = scope_of(name).dimension
    if dimension == "usd_per_day":
        return day.day in slots
    if dimension == "usd_per_month":
        return day.month in slots
    return any(at > slot - SLOTS for at in slots)
