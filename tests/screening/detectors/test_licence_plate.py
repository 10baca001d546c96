"""Registration plates."""

import pytest

from headrace.screening.detectors.licence_plate import LicencePlateDetector

DETECTOR = LicencePlateDetector()


@pytest.mark.parametrize(
    ("text", "plate"),
    [
        ("一辆京A12345的轿车", "京A12345"),
        ("车牌粤B·D12345", "粤B·D12345"),
        ("The plate number was LK19 XTR, a Ford", "LK19 XTR"),
        ("licence plate OJ90RRB", "OJ90RRB"),
        ("Kennzeichen: M-AB 1234", "M-AB 1234"),
    ],
)
def test_plates_are_found(text: str, plate: str) -> None:
    assert [text[span.start : span.end] for span in DETECTOR.detect(text)] == [plate]


@pytest.mark.parametrize(
    "text", ["LK19 XTR", "MIX4", "高速G45全长2712公里", "plates cost 20 dollars"]
)
def test_other_signs_are_left_alone(text: str) -> None:
    assert list(DETECTOR.detect(text)) == []
