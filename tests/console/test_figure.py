"""Figures are written the way people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.console.figure import as_moment, as_percent, as_seconds, as_usd


@pytest.mark.parametrize(
    ("seconds", "written"),
    [
        (0, "0.00 ms"),
        (0.00005, "0.05 ms"),
        (0.0012, "1.2 ms"),
        (0.0123, "12 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1 s"),
        (1.237, "1.24 s"),
        (99.94, "99.9 s"),
        (99.96, "1 min 40 s"),
        (200, "3 min 20 s"),
    ],
)
def test_seconds(seconds: float, written: str) -> None:
    assert as_seconds(seconds) == written


@given(seconds=st.floats(0, 1e6))
def test_seconds_never_need_an_exponent_nor_more_than_four_digits(seconds: float) -> None:
    written = as_seconds(seconds)
    assert "e" not in written
    assert all(len(figure.replace(".", "")) <= 5 for figure in written.split()[::2])


@pytest.mark.parametrize(
    ("usd", "written"),
    [(0, "$0"), (0.00000042, "$0.0000004"), (0.0042, "$0.0042"), (1.25, "$1.25"), (12, "$12.00")],
)
def test_money(usd: float, written: str) -> None:
    assert as_usd(usd) == written


def test_moments_say_their_zone() -> None:
    assert as_moment(0) == "1970-01-01 00:00:00 UTC"


def test_places_have_two_decimals() -> None:
    assert as_percent(12.5) == "12.50%"
