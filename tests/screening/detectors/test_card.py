"""Payment card numbers: issuers, lengths, groupings and check digits."""

import pytest

from headrace.screening.detectors.card import CardDetector

DETECTOR = CardDetector()


def found(text: str) -> list[str]:
    return [text[span.start : span.end] for span in DETECTOR.detect(text)]


@pytest.mark.parametrize(
    "number",
    [
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "4111.1111.1111.1111",
        "4222222222222",
        "5555555555554444",
        "2223 0031 2200 3222",
        "378282246310005",
        "3782 822463 10005",
        "30569309025904",
        "3056 930902 5904",
        "6011 1111 1111 1117",
        "3530111333300000",
        "6200 0000 0000 0005",
        "6759649826438453",
        "2200 0000 0000 0053",
        "4111 1111 1111 1111 003",
    ],
)
def test_test_numbers_of_the_issuers_are_found(number: str) -> None:
    assert found(f"card {number}, valid") == [number]
    assert found(f"卡号{number}。") == [number]


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",  # check digit
        "4111 1111 1111 111",  # a digit short
        "9111111111111111",  # nobody's range
        "1234567890123456",
        "41111111111111110000",  # 20 digits
        "order 411111111111111",
        "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
        "12 34 56 78 90 12 34 56",
        "4111 1111-1111 1111",  # mixed separators
        "0000 0000 0000 0000",
        "timestamps 1700000000000 and 20241124171956",
    ],
)
def test_other_numbers_are_left_alone(text: str) -> None:
    assert found(text) == []


def test_a_number_before_the_card_does_not_hide_it() -> None:
    assert found("in 2024 4111 1111 1111 1111 20 items") == ["4111 1111 1111 1111"]


def test_two_cards_in_a_row_are_two() -> None:
    assert found("4111111111111111 5555555555554444") == ["4111111111111111", "5555555555554444"]


def test_full_width_digits_count() -> None:
    assert found("卡号４１１１１１１１１１１１１１１１") == ["４１１１１１１１１１１１１１１１"]
