import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.config.scalar import scalar


@pytest.mark.parametrize(
    "text", ["off", "on", "no", "yes", "No", "y", "1:30", "1_000", "2024-01-01"]
)
def test_words_that_older_yaml_reads_as_something_else_are_text(text: str) -> None:
    assert scalar(text) == text


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("null", None),
        ("007", 7),
        ("-12", -12),
        ("0o17", 15),
        ("0xff", 255),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
    ],
)
def test_words_that_editors_read_as_values_are_values(text: str, value: object) -> None:
    found = scalar(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize("text", [".nan", ".inf", "1e999", "9" * 19, "9" * 5000, "0x" + "f" * 16])
def test_numbers_that_no_setting_can_hold_stay_text(text: str) -> None:
    assert scalar(text) == text


def test_a_word_that_does_not_spell_its_tag_stays_text() -> None:
    assert scalar("abc", "tag:yaml.org,2002:int") == "abc"
    assert scalar("12", "tag:yaml.org,2002:str") == "12"


@given(st.integers(-(2**63), 2**63 - 1))
def test_every_whole_number_of_64_bits_is_read_back(number: int) -> None:
    assert scalar(str(number)) == number


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_number_is_read_back(number: float) -> None:
    assert scalar(repr(number)) == number


@given(st.text())
def test_no_text_is_refused(text: str) -> None:
    assert scalar(text) == text or not isinstance(scalar(text), str)
