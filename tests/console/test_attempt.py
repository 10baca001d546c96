"""Wrong keys: ten at once from an address, then one every six seconds."""

from hypothesis import given
from hypothesis import strategies as st

from headrace.console.attempt import SignInLimit


def test_ten_failures_are_free_and_the_next_try_waits() -> None:
    limit = SignInLimit(burst=10, refill_s=6)
    for _ in range(10):
        assert limit.wait_s("a", now=100) == 0
        limit.failed("a", now=100)
    assert limit.wait_s("a", now=100) == 6


def test_the_wait_passes() -> None:
    limit = SignInLimit(burst=2, refill_s=6)
    limit.failed("a", now=0)
    limit.failed("a", now=0)
    assert limit.wait_s("a", now=2) == 4
    assert limit.wait_s("a", now=6) == 0


def test_one_address_does_not_slow_another() -> None:
    limit = SignInLimit(burst=1, refill_s=6)
    limit.failed("a", now=0)
    assert limit.wait_s("a", now=0) > 0
    assert limit.wait_s("b", now=0) == 0


def test_addresses_seen_long_ago_are_forgotten_before_recent_ones() -> None:
    limit = SignInLimit(burst=1, refill_s=1e6)
    for number in range(2000):
        limit.failed(str(number), now=number)
    assert limit.wait_s("0", now=2000) == 0
    assert limit.wait_s("1999", now=2000) > 0


@given(gaps=st.lists(st.floats(0, 20), max_size=60))
def test_no_address_gets_more_tries_than_it_may(gaps: list[float]) -> None:
    limit = SignInLimit(burst=5, refill_s=6)
    now, tries = 0.0, 0
    for gap in gaps:
        now += gap
        if limit.wait_s("a", now=now) == 0:
            limit.failed("a", now=now)
            tries += 1
        assert tries <= 5 + now / 6 + 1e-6
