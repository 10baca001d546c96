"""What tokens cost: there, and on a machine of one's own."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.models.catalogue.cost import (
    MIXES,
    Mix,
    blended_usd,
    cost_usd,
    own_cost,
    price_config,
    rates,
)
from headrace.models.catalogue.entry import LaterRates, LongRates, Price
from headrace.types import Usage

DAY = date(2026, 11, 25)
PRICE = Price(
    input=1.0,
    cached_input=0.1,
    cache_write=1.25,
    output=5.0,
    long=LongRates(above_tokens=1000, input=2.0, output=7.5),
    later=LaterRates(since="2027-01-01", input=3.0, output=9.0),
)


def test_a_turn_costs_what_each_of_its_tokens_costs() -> None:
    usage = Usage(
        prompt_tokens=1000, completion_tokens=100, cached_tokens=600, cache_write_tokens=200
    )
    assert cost_usd(PRICE, usage, DAY) == pytest.approx(
        (200 * 1.0 + 600 * 0.1 + 200 * 1.25 + 100 * 5.0) / 1e6
    )


def test_a_long_prompt_has_its_own_rates() -> None:
    assert rates(PRICE, DAY, 1000).input == 1.0
    assert rates(PRICE, DAY, 1001).input == 2.0
    usage = Usage(prompt_tokens=2000, completion_tokens=10, cached_tokens=500)
    assert cost_usd(PRICE, usage, DAY) == pytest.approx((2000 * 2.0 + 10 * 7.5) / 1e6)


def test_an_announced_price_holds_from_its_day_on() -> None:
    assert rates(PRICE, date(2026, 12, 31)).output == 5.0
    assert rates(PRICE, date(2027, 1, 1)).output == 9.0
    assert price_config(PRICE, date(2027, 1, 1)).input == 3.0


def test_a_mix_weighs_prompt_and_answer() -> None:
    assert blended_usd(PRICE, Mix(3, 1), DAY) == pytest.approx((3 * 1.0 + 5.0) / 4)
    assert blended_usd(PRICE, MIXES["embed"], DAY) == 1.0


@given(st.integers(0, 10**7), st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_more_tokens_never_cost_less(prompt: int, cached: int, write: int, answer: int) -> None:
    plain = Price(input=1.0, cached_input=0.1, cache_write=1.25, output=5.0)
    usage = Usage(
        prompt_tokens=prompt + cached + write,
        completion_tokens=answer,
        cached_tokens=cached,
        cache_write_tokens=write,
    )
    more = Usage(
        prompt_tokens=prompt + cached + write + 1,
        completion_tokens=answer + 1,
        cached_tokens=cached,
        cache_write_tokens=write,
    )
    assert 0 <= cost_usd(plain, usage, DAY) < cost_usd(plain, more, DAY)


def test_a_machine_costs_the_same_however_much_it_writes() -> None:
    full = own_cost(2.0, 100, Mix(0, 1))
    half = own_cost(2.0, 100, Mix(0, 1), utilisation=0.5)
    assert full.usd_per_million == pytest.approx(2.0 / (100 * 3600) * 1e6)
    assert half.usd_per_million == pytest.approx(2 * full.usd_per_million)
    assert full.usd_per_month == half.usd_per_month == pytest.approx(1460)


def test_prompt_tokens_come_with_the_completion_tokens() -> None:
    alone, with_prompts = own_cost(2.0, 100, Mix(0, 1)), own_cost(2.0, 100, Mix(9, 1))
    assert with_prompts.usd_per_million == pytest.approx(alone.usd_per_million / 10)


def test_the_break_even_is_where_both_cost_the_same() -> None:
    cost = own_cost(1.0, 1000, Mix(3, 1), utilisation=0.2, against_usd=0.5)
    volume = cost.break_even_tokens_per_month
    assert volume is not None
    assert volume / 1e6 * 0.5 == pytest.approx(cost.usd_per_month)


def test_a_machine_that_cannot_write_enough_never_breaks_even() -> None:
    assert own_cost(10.0, 10, Mix(3, 1), against_usd=0.1).break_even_tokens_per_month is None


@pytest.mark.parametrize(("speed", "utilisation"), [(0, 1.0), (10, 0.0), (10, 1.5)])
def test_a_machine_that_writes_nothing_has_no_price(speed: float, utilisation: float) -> None:
    with pytest.raises(ValueError, match="write nothing"):
        own_cost(1.0, speed, Mix(3, 1), utilisation=utilisation)
