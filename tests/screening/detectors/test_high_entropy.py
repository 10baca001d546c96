"""Random strings near a word for a key."""

import pytest

from headrace.screening.detectors.high_entropy import HighEntropyDetector

DETECTOR = HighEntropyDetector()
HEX = "9f8e7d6c5b4a39281706f5e4d3c2b1a0"


@pytest.mark.parametrize(
    "text",
    [f"the deploy key for staging, {HEX}", f"密钥{HEX}需要轮换", f"token ({HEX})"],
)
def test_secrets_are_found(text: str) -> None:
    (span,) = DETECTOR.detect(text)
    assert text[span.start : span.end] == HEX


def test_a_key_that_names_its_data_centre_is_found_whole() -> None:
    (span,) = DETECTOR.detect(f'set("mailer_api_key", "{HEX}-us7")')
    assert (span.start, span.end) == (23, 23 + len(HEX) + 4)


def test_a_key_with_azures_mark_needs_no_word() -> None:
    key = "q8Zr5Tn2Wv9Xy4Lk7Mp1" * 3 + "q8Zr5Tn2Wv9Xy4Lk+ASt7Mp1Aw=="
    (span,) = DETECTOR.detect(f"az: {key};")
    assert (span.start, span.end) == (4, 4 + len(key))
    assert list(DETECTOR.detect(f"az: {key.replace('ASt', 'AXt')};")) == []


@pytest.mark.parametrize(
    "text",
    [
        HEX,
        f"commit {HEX} removes the token",
        f"sha256 of the secret: {HEX}",
        "token 550e8400-e29b-41d4-a716-446655440000",
        "the key of user-settings-page-header-42-left",
        f"key\n{HEX}",
    ],
)
def test_other_strings_are_left_alone(text: str) -> None:
    assert list(DETECTOR.detect(text)) == []
