"""Account numbers: country, length and check digits."""

import pytest

from headrace.screening.detectors.iban import IbanDetector

DETECTOR = IbanDetector()


def found(text: str) -> list[str]:
    return [text[span.start : span.end] for span in DETECTOR.detect(text)]


@pytest.mark.parametrize(
    "number",
    [
        "DE89370400440532013000",
        "DE89 3704 0044 0532 0130 00",
        "GB29 NWBK 6016 1331 9268 19",
        "gb29nwbk60161331926819",
        "FR14 2004 1010 0505 0001 3M02 606",
        "NO93 8601 1117 947",
        "MT84MALT011000012345MTLCAST001S",
        "NL91-ABNA-0417-1643-00",
        "CH93 0076 2011 6238 5295 7",
    ],
)
def test_numbers_of_the_registry_are_found(number: str) -> None:
    assert found(f"to {number}, please") == [number]
    assert found(f"账户{number}。") == [number]


@pytest.mark.parametrize(
    "text",
    [
        "DE88370400440532013000",  # check digits
        "DE8937040044053201300",  # a character short
        "DE893704004405320130001",  # one too many
        "XX89370400440532013000",  # no such country
        "De89370400440532013000",
        "model AB12 3456 is here",
        "DE89",
        "ADE89370400440532013000",
    ],
)
def test_other_codes_are_left_alone(text: str) -> None:
    assert found(text) == []


def test_the_country_is_public() -> None:
    (span,) = DETECTOR.detect("DE89370400440532013000")
    assert (span.start, span.shown) == (0, 2)
