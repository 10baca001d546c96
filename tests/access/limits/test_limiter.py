"""What a caller sees: admissions, refusals in words, headers."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.access.limits.admission import FREE
from headrace.access.limits.config import Limits
from headrace.access.limits.errors import LimitExceeded, QuotaExceeded
from headrace.access.limits.estimate import LONGEST_ANSWER, USUAL_ANSWER, reserved_tokens
from headrace.access.limits.header import as_duration
from headrace.access.limits.limiter import MemoryLimiter
from headrace.access.limits.rule import Rule
from headrace.access.principal import Principal

EPOCH = 1_795_554_333.0
ADA = Principal("key-ada", "ada", "user", "research")


class Clock:
    """What time it is when a call is settled."""

    def __init__(self) -> None:
        self.now = EPOCH

    def __call__(self) -> float:
        return self.now


def limiter(*rules: Rule) -> MemoryLimiter:
    return MemoryLimiter(Limits(rules=rules), clock=Clock())


def headers(limiter: MemoryLimiter, model: str = "m") -> dict[str, str]:
    found = limiter.headers(ADA, model)
    return {name.decode().removeprefix("x-ratelimit-"): value.decode() for name, value in found}


def test_a_call_that_no_rule_concerns_is_free() -> None:
    assert limiter().admit(ADA, "m", 10, EPOCH) is FREE
    elsewhere = limiter(Rule(key="bob", requests_per_minute=1))
    assert elsewhere.admit(ADA, "m", 10, EPOCH) is FREE
    assert elsewhere.headers(ADA, "m") == []
    with FREE as free:
        free.settle(10, 1.0)


def test_a_call_that_ends_without_usage_gives_back_tokens_and_money_but_was_a_request() -> None:
    under_test = limiter(Rule(requests_per_minute=2, tokens_per_minute=100, usd_per_day=1))
    with (
        pytest.raises(RuntimeError),
        under_test.admit(ADA, "m", 100, EPOCH, estimated_cost_usd=1.0),
    ):
        raise RuntimeError("the upstream broke off")
    assert headers(under_test)["remaining-tokens"] == "100"
    assert headers(under_test)["remaining-requests"] == "1"
    under_test.admit(ADA, "m", 100, EPOCH, estimated_cost_usd=1.0)


def test_a_call_that_goes_another_way_was_never_counted() -> None:
    rule = Rule(requests_per_minute=1, tokens_per_minute=100, usd_per_day=1, concurrent=1)
    under_test = limiter(rule)
    for _ in range(3):
        admission = under_test.try_admit(ADA, "m", 100, EPOCH, 1.0)
        assert admission is not None
        under_test.withdraw(admission)
        under_test.withdraw(admission)
        admission.release()
    assert headers(under_test)["remaining-requests"] == "1"
    assert headers(under_test)["remaining-tokens"] == "100"
    under_test.admit(ADA, "m", 100, EPOCH, estimated_cost_usd=1.0).settle(100, 1.0)
    with pytest.raises(LimitExceeded):
        under_test.admit(ADA, "m", 1, EPOCH)


@given(
    steps=st.lists(st.sampled_from(["settle", "settle more", "release"]), max_size=6),
)
def test_settling_and_releasing_again_changes_nothing(steps: list[str]) -> None:
    under_test = limiter(Rule(tokens_per_minute=1_000, concurrent=1, usd_per_month=10))
    admission = under_test.admit(ADA, "m", 100, EPOCH, estimated_cost_usd=2.0)
    for step in steps:
        if step == "release":
            admission.release()
        else:
            admission.settle(40 if step == "settle" else 140, 1.0)
    first = steps[0] if steps else None
    used = {None: 100, "settle": 40, "settle more": 140, "release": 0}[first]
    assert headers(under_test)["remaining-tokens"] == str(1_000 - used)
    if "release" in steps:
        under_test.admit(ADA, "m", 1, EPOCH)
    else:
        with pytest.raises(LimitExceeded):
            under_test.admit(ADA, "m", 1, EPOCH)
    plan = under_test.ledger.plan(ADA, "m", EPOCH)
    spent = {None: 2.0, "settle": 1.0, "settle more": 1.0, "release": 0.0}[first]
    month = plan.usd_month[0].spend
    assert sum(month.spent(period) for period in range(24_000, 24_400)) == spent


def test_a_refusal_says_which_limit_how_much_and_when() -> None:
    under_test = limiter(Rule(team="research", per=("team",), tokens_per_minute=1_000))
    under_test.admit(ADA, "m", 900, EPOCH)
    with pytest.raises(LimitExceeded) as caught:
        under_test.admit(ADA, "m", 200, EPOCH + 12)
    error = caught.value
    assert error.code == "rate_limit_exceeded"
    assert error.message == (
        "rate limit reached for tokens per minute (team research): "
        "limit 1000, used 900, requested 200"
    )
    assert error.hint == "try again in 48.5 s"
    assert error.retry_after_s == 48.5
    assert error.__reduce__()[1][-1] == 48.5  # type: ignore[index]
    assert under_test.rejections == {("tokens_per_minute", "team research"): 1}


def test_a_budget_that_is_used_up_has_a_code_of_its_own() -> None:
    under_test = limiter(Rule(key="ada", usd_per_day=0.5))
    under_test.admit(ADA, "m", 1, EPOCH).settle(1, 0.5)
    with pytest.raises(QuotaExceeded) as caught:
        under_test.admit(ADA, "m", 1, EPOCH)
    assert caught.value.code == "insufficient_quota"
    assert caught.value.message == (
        "the budget of $0.50 per day (key ada) is used up: $0.5000 spent"
    )
    assert caught.value.hint.startswith("the next day begins in ")
    assert caught.value.retry_after_s is not None


def test_what_can_never_fit_has_no_time_to_come_back() -> None:
    with pytest.raises(LimitExceeded, match="limit 10, used 0, requested 11") as caught:
        limiter(Rule(tokens_per_minute=10)).admit(ADA, "m", 11, EPOCH)
    assert caught.value.retry_after_s is None
    assert "lower max_tokens" in caught.value.hint


def test_headers_are_those_of_the_tightest_limit() -> None:
    under_test = limiter(
        Rule(requests_per_minute=60, tokens_per_minute=10_000),
        Rule(model="m", requests_per_minute=30),
        Rule(team="research", per=("team",), tokens_per_minute=5_000),
    )
    with under_test.admit(ADA, "m", 1_000, EPOCH) as admission:
        admission.settle(400)
    assert headers(under_test) == {
        "limit-requests": "30",
        "remaining-requests": "29",
        "reset-requests": "1m0.5s",
        "limit-tokens": "5000",
        "remaining-tokens": "4600",
        "reset-tokens": "1m0.5s",
    }


def test_headers_never_promise_less_than_nothing() -> None:
    under_test = limiter(Rule(tokens_per_minute=10))
    under_test.admit(ADA, "m", 5, EPOCH).settle(500)
    assert headers(under_test)["remaining-tokens"] == "0"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"), (0.02, "20ms"), (0.5, "500ms"), (1, "1s"), (1.5, "1.5s"), (59.999, "59.999s"),
        (60, "1m0s"), (360, "6m0s"), (3_723, "1h2m3s"), (86_400, "24h0m0s"), (119.9999, "2m0s"),
    ],
)  # fmt: skip
def test_durations_look_like_openais(seconds: float, text: str) -> None:
    assert as_duration(seconds) == text


@pytest.mark.parametrize(
    ("prompt", "asked", "answers", "reserved"),
    [
        (100, 50, 1, 150),
        (100, None, 1, 100 + USUAL_ANSWER),
        (100, 1_000_000, 1, 100 + LONGEST_ANSWER),
        (100, 50, 3, 250),
        (0, 0, 1, 1),
    ],
)
def test_a_reservation_is_bounded(
    prompt: int, asked: int | None, answers: int, reserved: int
) -> None:
    assert reserved_tokens(prompt, asked, answers=answers) == reserved
