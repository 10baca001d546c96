"""Times in headers, as seconds from now."""

import pytest

from headrace.models.dialect.reset import count_of, retry_after_s, seconds_until

NOW = 1_764_000_000.0
"""2025-11-24T16:00:00Z"""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("12", 12.0),
        (" 0.5 ", 0.5),
        ("-3", 0.0),
        ("nan", None),
        ("Mon, 24 Nov 2025 16:02:00 GMT", 120.0),
        ("Mon, 24 Nov 2025 16:02:00 -0000", 120.0),
        ("Mon, 24 Nov 2025 15:02:00 GMT", 0.0),
        ("", None),
        ("later", None),
    ],
)
def test_retry_after_is_a_number_or_a_date(value: str, expected: float | None) -> None:
    assert retry_after_s({"retry-after": value}, NOW) == expected
    assert retry_after_s({}, NOW) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2025-11-24T16:00:12Z", 12.0),
        ("2025-11-24T16:00:12.5Z", 12.5),
        ("2025-11-24T18:00:12+02:00", 12.0),
        ("2025-11-24T16:00:12", 12.0),
        ("2025-11-24T15:00:00Z", 0.0),
        ("soon", None),
        (None, None),
    ],
)
def test_until_a_time(value: str | None, expected: float | None) -> None:
    assert seconds_until(value, NOW) == expected


@pytest.mark.parametrize(
    ("value", "expected"), [("12", 12), ("1.5", None), ("²", None), (None, None)]
)
def test_counts_are_whole_numbers(value: str | None, expected: int | None) -> None:
    assert count_of(value) == expected
