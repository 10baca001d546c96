"""The ledger against a list of all that happened: never too much, nothing leaks, nothing twice."""

import itertools
import math
from collections import defaultdict
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from headrace.access.limits import ledger as ledger_module
from headrace.access.limits.calendar import Calendar
from headrace.access.limits.ledger import IDLE_S, Ledger
from headrace.access.limits.plan import Entry
from headrace.access.limits.refusal import Refusal
from headrace.access.limits.rule import Rule
from headrace.access.limits.window import SLOT_S, WINDOW_S
from headrace.access.principal import Principal

EPOCH = 1_795_554_333.0
ADA = Principal("key-ada", "ada", "user", "research")
BOB = Principal("key-bob", "bob", "user", "research")
CAI = Principal("key-cai", "财务", "user")

EVERY_KEY = Rule(requests_per_minute=6, tokens_per_minute=1_000, concurrent=3)
TEAM = Rule(team="res*", model="gpt-*", per=("team",), tokens_per_minute=1_200)
MONEY = Rule(key="ada", usd_per_day=1.0, usd_per_month=1.5)
RULES = (EVERY_KEY, TEAM, MONEY)


def ledger(*rules: Rule) -> Ledger:
    return Ledger(rules, Calendar())


def enter(
    ledger: Ledger,
    who: Principal = ADA,
    *,
    model: str = "gpt-5",
    tokens: int = 1,
    usd: float = 0.0,
    now: float = EPOCH,
) -> Entry | Refusal:
    return ledger.admit(ledger.plan(who, model, now), tokens, usd, now)


def entered(*args: object, **kwargs: object) -> Entry:
    found = enter(*args, **kwargs)  # type: ignore[arg-type]
    assert isinstance(found, Entry), found
    return found


def refused(*args: object, **kwargs: object) -> Refusal:
    found = enter(*args, **kwargs)  # type: ignore[arg-type]
    assert isinstance(found, Refusal), "it was let in"
    return found


@dataclass
class Happened:
    """One call that was let in, as somebody who keeps everything would note it."""

    who: Principal
    model: str
    at: float
    tokens: int
    usd: float
    entry: Entry
    more_tokens: list[tuple[float, int]] = field(default_factory=list)
    """What it used beyond its reservation, and when that was known."""
    is_settled: bool = False
    is_over: bool = False


class Calls(RuleBasedStateMachine):
    """Calls of three keys, in any order, on a clock that sometimes goes backwards."""

    calls = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.ledger = ledger(*RULES)
        self.now = EPOCH
        self.passed = EPOCH
        """Real time, which never goes backwards."""
        self.happened: list[Happened] = []

    @rule(seconds=st.floats(0, 40))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.passed += seconds

    @rule(seconds=st.floats(0, 100_000))
    def set_the_clock_back(self, seconds: float) -> None:
        # Seen before and after, or what has passed unseen would only make it wait longer.
        self.ledger.tidy(self.now)
        self.now = max(EPOCH - 40 * 86_400, self.now - seconds)
        self.ledger.tidy(self.now)

    @rule(
        target=calls,
        who=st.sampled_from([ADA, BOB, CAI]),
        model=st.sampled_from(["gpt-5", "gpt-6", "qwen"]),
        tokens=st.integers(1, 600),
        usd=st.sampled_from([0.0, 0.01, 0.3]),
    )
    def call(self, who: Principal, model: str, tokens: int, usd: float) -> object:
        entry = enter(self.ledger, who, model=model, tokens=tokens, usd=usd, now=self.now)
        if isinstance(entry, Refusal):
            self.must_have_been_full(entry, who, model, tokens, usd)
            return multiple()
        call = Happened(who, model, self.passed, tokens, usd, entry)
        self.happened.append(call)
        return call

    @rule(call=calls, part=st.floats(0, 1.5), usd=st.sampled_from([0.0, 0.005, 0.2]))
    def settle(self, call: Happened, part: float, usd: float) -> None:
        used = int(call.tokens * part)
        self.ledger.settle(call.entry, used, usd, self.now)
        if not call.is_settled:
            call.is_settled = True
            if used > call.tokens:
                call.more_tokens.append((self.passed, used - call.tokens))
            call.tokens = min(used, call.tokens)
            call.usd = usd

    @rule(call=calls)
    def leave(self, call: Happened) -> None:
        self.ledger.leave(call.entry)
        call.is_over = True

    @rule()
    def tidy(self) -> None:
        self.ledger.tidy(self.now)

    @rule()
    def reload_the_same_rules(self) -> None:
        self.ledger.change(RULES, Calendar())

    @invariant()
    def no_window_of_a_minute_holds_more_than_the_limit(self) -> None:
        for who in (ADA, BOB, CAI):
            mine = [call for call in self.happened if call.who is who]
            assert most([(call.at, 1) for call in mine]) <= 6
            # What was used beyond a reservation cannot be prevented; what was admitted can.
            assert most([(call.at, call.tokens) for call in mine]) <= 1_000
        team = [
            call
            for call in self.happened
            if call.who.team == "research" and call.model.startswith("gpt-")
        ]
        assert most([(call.at, call.tokens) for call in team]) <= 1_200

    @invariant()
    def as_many_calls_are_active_as_are_not_over(self) -> None:
        for who in (ADA, BOB, CAI):
            active = sum(not call.is_over for call in self.happened if call.who is who)
            assert active <= 3
            plan = self.ledger.plan(who, "qwen", self.now)
            assert plan.concurrent[0].counters.active == active

    @invariant()
    def money_adds_up(self) -> None:
        plan = self.ledger.plan(ADA, "qwen", self.now)
        spent: defaultdict[int, float] = defaultdict(float)
        for call in self.happened:
            if call.who is ADA:
                spent[call.entry.month] += call.usd
        month = Calendar().at(self.now).month
        assert math.isclose(plan.usd_month[0].spend.spent(month), spent[month], abs_tol=1e-9)

    def must_have_been_full(
        self, refusal: Refusal, who: Principal, model: str, tokens: int, usd: float
    ) -> None:
        """A refusal is right: with what came half a second longer ago, the limit is reached."""
        concerned = [
            call
            for call in self.happened
            if (call.who is who if refusal.rule is not TEAM else call.who.team == "research")
            and (refusal.rule is not TEAM or call.model.startswith("gpt-"))
        ]
        since = self.passed - WINDOW_S - SLOT_S
        if refusal.dimension == "requests_per_minute":
            assert sum(call.at >= since for call in concerned) + 1 > 6
        elif refusal.dimension == "tokens_per_minute":
            counted = sum(call.tokens for call in concerned if call.at >= since)
            counted += sum(n for c in concerned for at, n in c.more_tokens if at >= since)
            assert counted + tokens > refusal.limit
        elif refusal.dimension == "concurrent":
            assert sum(not call.is_over for call in concerned) >= 3
        else:
            assert refusal.used + usd > refusal.limit or refusal.used >= refusal.limit


def most(events: list[tuple[float, int]]) -> int:
    """The most that any window of a minute holds: one that begins with some event."""
    return max(
        (sum(n for at, n in events if begin <= at < begin + WINDOW_S) for begin, _ in events),
        default=0,
    )


TestCalls = Calls.TestCase
TestCalls.settings = settings(
    deadline=None,
    max_examples=60,
    stateful_step_count=60,
    # A busy machine makes examples slow, which says nothing about the ledger.
    suppress_health_check=[HealthCheck.too_slow],
)


def test_sustained_traffic_gets_its_limit_to_one_percent() -> None:
    under_test = ledger(Rule(requests_per_minute=600))
    let_in = 0
    seconds = 1_200
    for tick in range(seconds * 40):
        entry = enter(under_test, now=EPOCH + tick / 40)
        if isinstance(entry, Entry):
            let_in += 1
            under_test.leave(entry)
    # The first minute's burst comes on top of what the time allows.
    assert 0.99 <= (let_in - 600) / (600 * (seconds - 60) / 60) <= 1.01


def test_the_whole_limit_may_come_at_once_and_then_nothing_for_a_minute() -> None:
    under_test = ledger(Rule(requests_per_minute=60))
    for _ in range(60):
        entered(under_test)
    wait = refused(under_test, now=EPOCH + 10).wait_s
    assert refused(under_test, now=EPOCH + 59.9).dimension == "requests_per_minute"
    assert wait is not None
    assert 50 <= wait <= 50.5
    entered(under_test, now=EPOCH + 10 + wait)


def test_every_key_counts_for_itself_and_a_team_together() -> None:
    each = ledger(Rule(requests_per_minute=1))
    entered(each, ADA)
    entered(each, BOB)
    refused(each, ADA)
    together = ledger(Rule(team="research", per=("team",), requests_per_minute=1))
    entered(together, ADA)
    refused(together, BOB)
    entered(together, CAI)
    entered(together, CAI)


@pytest.mark.parametrize(
    ("per", "first", "same", "other"),
    [
        (("key", "model"), (ADA, "a"), (ADA, "a"), (ADA, "b")),
        (("model",), (ADA, "a"), (BOB, "a"), (BOB, "b")),
        (("team", "model"), (ADA, "a"), (BOB, "a"), (CAI, "a")),
        (("team",), (CAI, "a"), (CAI, "b"), (ADA, "a")),
    ],
)
def test_who_shares_a_counter_is_what_per_says(
    per: tuple[str, ...],
    first: tuple[Principal, str],
    same: tuple[Principal, str],
    other: tuple[Principal, str],
) -> None:
    under_test = ledger(Rule(per=per, requests_per_minute=1))  # type: ignore[arg-type]
    entered(under_test, first[0], model=first[1])
    refused(under_test, same[0], model=same[1])
    entered(under_test, other[0], model=other[1])


def test_a_service_wide_rule_has_one_counter() -> None:
    under_test = ledger(Rule(per=(), concurrent=2))
    entered(under_test, ADA, model="a")
    entered(under_test, CAI, model="b")
    assert refused(under_test, BOB).dimension == "concurrent"


def test_all_rules_that_match_must_have_room_and_a_refused_call_counts_nowhere() -> None:
    under_test = ledger(
        Rule(requests_per_minute=100, tokens_per_minute=1_000),
        Rule(key="ada", model="gpt-*", tokens_per_minute=10),
    )
    for _ in range(50):
        assert refused(under_test, tokens=11).limit == 10
    entered(under_test, tokens=1_000, model="qwen")
    plan = under_test.plan(ADA, "qwen", EPOCH)
    assert (plan.requests[0].window.total, plan.tokens[0].window.total) == (1, 1_000)


def test_of_several_limits_the_one_that_takes_longest_is_named() -> None:
    under_test = ledger(Rule(requests_per_minute=1, concurrent=1, usd_per_day=1))
    entered(under_test, usd=0.9)
    assert refused(under_test).dimension == "requests_per_minute"
    assert refused(under_test, usd=0.2).dimension == "usd_per_day"


def test_a_call_larger_than_its_limit_is_told_that_it_never_fits() -> None:
    under_test = ledger(Rule(tokens_per_minute=100, usd_per_day=1))
    assert refused(under_test, tokens=101).wait_s is None
    assert refused(under_test, usd=1.01).wait_s is None


def test_two_rules_about_the_same_calls_count_each_once() -> None:
    under_test = ledger(Rule(requests_per_minute=10), Rule(tokens_per_minute=100, concurrent=5))
    entry = entered(under_test, tokens=40)
    plan = under_test.plan(ADA, "gpt-5", EPOCH)
    assert (plan.requests[0].window.total, plan.tokens[0].window.total) == (1, 40)
    assert plan.concurrent[0].counters.active == 1
    under_test.leave(entry)
    assert plan.concurrent[0].counters.active == 0


def test_tokens_that_were_not_used_are_given_back_where_they_were_taken() -> None:
    under_test = ledger(Rule(tokens_per_minute=100))
    entry = entered(under_test, tokens=100)
    refused(under_test, tokens=1, now=EPOCH + 20)
    under_test.settle(entry, 30, 0.0, EPOCH + 20)
    later = entered(under_test, tokens=70, now=EPOCH + 20)
    under_test.settle(later, 70, 0.0, EPOCH + 20)
    entered(under_test, tokens=30, now=EPOCH + 60.5)
    refused(under_test, tokens=1, now=EPOCH + 60.5)


def test_tokens_beyond_the_reservation_count_from_when_they_are_known() -> None:
    under_test = ledger(Rule(tokens_per_minute=100))
    entry = entered(under_test, tokens=10)
    under_test.settle(entry, 150, 0.0, EPOCH + 90)
    assert refused(under_test, tokens=1, now=EPOCH + 91).used == 140
    entered(under_test, tokens=1, now=EPOCH + 151)


def test_rules_edited_at_reload_go_on_with_what_was_counted() -> None:
    under_test = ledger(Rule(requests_per_minute=10, usd_per_month=5))
    running = entered(under_test, usd=4.0)
    under_test.change((Rule(requests_per_minute=2, usd_per_month=4.5, concurrent=1),), Calendar())
    assert refused(under_test).dimension == "concurrent"
    under_test.settle(running, 1, 4.2, EPOCH)
    under_test.leave(running)
    under_test.leave(entered(under_test, usd=0.1))
    assert refused(under_test).dimension == "requests_per_minute"
    assert refused(under_test, usd=0.3, now=EPOCH + 61).dimension == "usd_per_month"


def test_the_next_day_and_the_next_month_have_their_money() -> None:
    under_test = ledger(MONEY)
    last_day = Calendar().at(EPOCH).month_ends_at - 3_600
    entered(under_test, usd=0.9, now=last_day - 86_400)
    assert refused(under_test, usd=0.2, now=last_day - 86_400).dimension == "usd_per_day"
    entered(under_test, usd=0.5, now=last_day)
    refusal = refused(under_test, usd=0.2, now=last_day)
    assert (refusal.dimension, refusal.wait_s) == ("usd_per_month", 3_600)
    entered(under_test, usd=0.2, now=last_day + 3_600)


def test_a_clock_set_back_for_hours_neither_locks_out_nor_lets_in() -> None:
    under_test = ledger(Rule(requests_per_minute=1))
    entered(under_test)
    back = EPOCH - 7_200
    assert refused(under_test, now=back).wait_s is not None
    refused(under_test, now=back + 59)
    entered(under_test, now=back + 61)


def test_memory_holds_only_who_called_lately_or_owes_something() -> None:
    under_test = ledger(Rule(requests_per_minute=5, tokens_per_minute=50, usd_per_month=1))
    owing = Principal("key-owing", "owing", "user")
    busy = Principal("key-busy", "busy", "user")
    under_test.leave(entered(under_test, owing, usd=0.5))
    entered(under_test, busy)
    for at in range(5_000):
        who = Principal(f"key-{at}", "k", "user")
        under_test.leave(entered(under_test, who, now=EPOCH + at))
    assert len(under_test) < 3 * IDLE_S
    under_test.tidy(EPOCH + 10_000)
    assert len(under_test) == 2, "one owes money, the other's call has not ended"
    assert refused(under_test, owing, usd=0.6, now=EPOCH + 10_000).dimension == "usd_per_month"


def test_a_part_of_the_limits_is_never_nothing() -> None:
    under_test = ledger(Rule(requests_per_minute=9, concurrent=2, usd_per_day=1))
    under_test.divide(4)
    entry = entered(under_test, usd=0.25)
    assert refused(under_test, usd=0.1).dimension == "usd_per_day"
    assert refused(under_test).dimension in ("concurrent", "usd_per_day")
    under_test.settle(entry, 1, 0.0, EPOCH)
    under_test.leave(entry)
    entered(under_test)
    under_test.divide(1)
    entered(under_test)


def test_globs_choose_keys_by_name_and_id_teams_and_models() -> None:
    chosen = {
        (who.name, model)
        for who, model in itertools.product((ADA, BOB, CAI), ("gpt-5", "qwen"))
        if Rule(key="[ab]*", model="q?en", concurrent=1).matches(who, model)
    }
    assert chosen == {("ada", "qwen"), ("bob", "qwen")}
    assert Rule(key="key-cai", concurrent=1).matches(CAI, "x")
    assert not Rule(team="*", concurrent=1).matches(CAI, "x")
    assert Rule(key="财*", concurrent=1).matches(CAI, "x")


def test_however_many_names_call_at_once_plans_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "MOST_PLANS", 50)
    under_test = ledger(Rule(requests_per_minute=1_000, concurrent=1_000))
    entries = [entered(under_test, model=f"m{n}") for n in range(500)]
    assert len(under_test._plans) <= 50
    for entry in entries:
        under_test.leave(entry)
    plan = under_test.plan(ADA, "m0", EPOCH)
    assert plan.requests[0].window.total == 500
    assert plan.concurrent[0].counters.active == 0
