"""Telephone numbers: plans of the world, national forms of the US, UK and China."""

import pytest

from headrace.screening.detectors.phone import PhoneDetector

DETECTOR = PhoneDetector()


def found(text: str) -> list[str]:
    return [text[span.start : span.end] for span in DETECTOR.detect(text)]


@pytest.mark.parametrize(
    "number",
    [
        "+442079460958",
        "+44 20 7946 0958",
        "+44 (0)20 7946 0958",
        "+1-415-555-2671",
        "+1 (415) 555-2671",
        "+86 138 1234 5678",
        "+49 30 901820",
        "+33 1 42 68 53 00",
        "0044 20 7946 0958",
        "(415) 555-2671",
        "415-555-2671",
        "415.555.2671",
        "415 555 2671",
        "1-415-555-2671",
        "020 7946 0958",
        "07911 123456",
        "(0161) 496 0000",
        "138 1234 5678",
        "138-1234-5678",
        "13812345678",
        "010-62771234",
        "(010) 62771234",
    ],
)
def test_numbers_are_found_whole(number: str) -> None:
    assert found(f"at {number}, or") == [number]
    assert found(f"电话{number}。") == [number]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("call 4155552671 now", ["4155552671"]),
        ("手机号：4155552671", ["4155552671"]),
        ("+1 415 555 2671 200 people", ["+1 415 555 2671"]),
        ("(138 1234 5678)", ["138 1234 5678"]),
        ("415-555-2671, 415-555-2672", ["415-555-2671", "415-555-2672"]),
    ],
)
def test_what_stands_around_decides(text: str, numbers: list[str]) -> None:
    assert found(text) == numbers


@pytest.mark.parametrize(
    "text",
    [
        "2024-11-24 17:19:57",
        "on 12.03.2024",
        "item 4155552671",
        "+1 111 111 1111",
        "115-555-2671",
        "415-911-26",
        "$415.555.2671",
        "1,234,567,890",
        "3.14159265358979",
        "4111 1111 1111 1111",
        "12345678",
        "a4155552671",
        "ISBN 978-0-306-40615-7",
        "138 1234 56789",
        "10.0.0.1",
        "+",
        "(",
    ],
)
def test_other_numbers_are_left_alone(text: str) -> None:
    assert found(text) == []
