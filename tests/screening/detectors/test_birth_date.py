"""Dates, when a word says that someone was born then."""

import pytest

from headrace.screening.detectors.birth_date import BirthDateDetector

DETECTOR = BirthDateDetector()


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("born on 14 February 1991 in Cork", "14 February 1991"),
        ("DOB: 02/11/1978,", "02/11/1978"),
        ("Date of birth 1985-07-23.", "1985-07-23"),
        ("she was born on March 3rd, 1931", "March 3rd, 1931"),
        ("出生于1987年6月12日，", "1987年6月12日"),
        ("geboren am 3.4.1960", "3.4.1960"),
    ],
)
def test_dates_of_birth_are_found(text: str, date: str) -> None:
    assert [text[span.start : span.end] for span in DETECTOR.detect(text)] == [date]


@pytest.mark.parametrize(
    "text",
    ["on 14 February 1991", "born in version 1.2.3", "会议时间：2026年11月24日", "born 3 times"],
)
def test_other_dates_are_left_alone(text: str) -> None:
    assert list(DETECTOR.detect(text)) == []
