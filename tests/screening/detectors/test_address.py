"""Street addresses, English and Chinese."""

import pytest

from headrace.screening.detectors.address import AddressDetector

DETECTOR = AddressDetector()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("at 48 Orchard Lane on Monday", "48 Orchard Lane"),
        ("to 22 W 34th Street, Apt 5B, New York, NY 10001.", "22 W 34th Street, Apt 5B, New York, NY 10001"),
        ("7 Mill Road, Cambridge, CB1 2AD", "7 Mill Road, Cambridge, CB1 2AD"),
        ("221B Baker St. is famous", "221B Baker St."),
        ("我住在北京市海淀区中关村大街27号院3号楼502室，", "北京市海淀区中关村大街27号院3号楼502室"),
        ("寄到文三路478号", "文三路478号"),
    ],
)  # fmt: skip
def test_addresses_are_found(text: str, address: str) -> None:
    assert [text[span.start : span.end] for span in DETECTOR.detect(text)] == [address]


@pytest.mark.parametrize(
    "text",
    [
        "In 1874 the owner lived in Mill Road",
        "3 Ways To Improve Your Score",
        "Chapter 12, Street Photography",
        "北京路和南京路都是商业街，第88号文件",
        "12 May 2024",
        "4 Drive letters",
    ],
)
def test_other_numbers_are_left_alone(text: str) -> None:
    assert list(DETECTOR.detect(text)) == []
