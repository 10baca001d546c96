"""Hardware addresses."""

import pytest

from headrace.screening.detectors.mac import MacDetector

DETECTOR = MacDetector()


@pytest.mark.parametrize(
    "text", ["3c:22:fb:9a:10:7e", "00-1B-63-84-45-E6", "地址3c:22:fb:9a:10:7e。"]
)
def test_addresses_are_found(text: str) -> None:
    (span,) = DETECTOR.detect(text)
    assert len(text[span.start : span.end]) == 17


@pytest.mark.parametrize(
    "text",
    [
        "ff:ff:ff:ff:ff:ff",
        "3c:22:fb:9a:10",
        "3c:22:fb:9a:10:7e:aa:bb",
        "12:30:45",
        "3c:22-fb:9a:10:7e",
    ],
)
def test_other_signs_are_left_alone(text: str) -> None:
    assert list(DETECTOR.detect(text)) == []
