"""Numbers given by states: valid ranges, check characters, context."""

import pytest

from headrace.screening.detectors.national_id import NationalIdDetector

DETECTOR = NationalIdDetector()


def found(text: str) -> list[str]:
    return [text[span.start : span.end] for span in DETECTOR.detect(text)]


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("my SSN is 123-45-6789.", ["123-45-6789"]),
        ("SSN: 123456789", ["123456789"]),
        ("Social Security number 123 45 6789", ["123 45 6789"]),
        ("社保号123-45-6789", ["123-45-6789"]),
        ("NI: AB123456C", ["AB123456C"]),
        ("AB 12 34 56 C and ce123456d", ["AB 12 34 56 C", "ce123456d"]),
        ("身份证号11010519491231002X，", ["11010519491231002X"]),
        ("id 11010519491231002x", ["11010519491231002x"]),
        ("440524188001010014", ["440524188001010014"]),
    ],
)
def test_numbers_are_found(text: str, numbers: list[str]) -> None:
    assert found(text) == numbers


@pytest.mark.parametrize(
    "text",
    [
        "000-12-3456",
        "666-12-3456",
        "900-12-3456",
        "123-00-4567",
        "123-45-0000",
        "123-45-67890",
        "123-45-6789-1",
        "order 123456789",  # nothing says what it is
        "123 45 6789",
        "BG123456C",
        "AB123456E",
        "QQ123456C",  # the ministry's own dummy
        "XAB123456C",
        "110105194912310021",  # check character
        "11010519491331002X",  # month 13
        "11010519490230002X",  # 30 February
        "99010519491231002X",  # no such province
        "1101051949123100",
        "phone 2024-11-24",
    ],
)
def test_other_numbers_are_left_alone(text: str) -> None:
    assert found(text) == []
