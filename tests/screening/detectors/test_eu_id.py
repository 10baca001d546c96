"""Personal numbers of the member states: each by its own check digits, most only when named."""

import pytest

from headrace.screening.detectors.eu_id import EuIdDetector

DETECTOR = EuIdDetector()


def found(text: str) -> list[str]:
    return [text[span.start : span.end] for span in DETECTOR.detect(text)]


@pytest.mark.parametrize(
    ("word", "number"),
    [
        ("SVNR", "1237 010180"),
        ("numéro national", "85073003328"),
        ("", "85.07.30-033.28"),
        ("EGN", "7523169263"),
        ("OIB", "33392005961"),
        ("TIC", "10259033P"),
        ("", "710319/2745"),
        ("Steuer-ID", "36 574 261 809"),
        ("CPR", "211062-5629"),
        ("isikukood", "37605030299"),
        ("asmens kodas", "33309240064"),
        ("", "54362315K"),
        ("", "X2482300W"),
        ("", "131052-308T"),
        ("", "2 95 10 99 126 111 93"),
        ("AMKA", "01013099997"),
        ("TAJ", "123 456 788"),
        ("PPS number", "6433435F"),
        ("", "RCCMNL83S18D969H"),
        ("personas kods", "161175-19997"),
        ("karta tal-identità", "1234567M"),
        ("BSN", "111222333"),
        ("PESEL", "44051401359"),
        ("NIF", "501964843"),
        ("cartão de cidadão", "00000000 0 ZZ4"),
        ("CNP", "1630615123457"),
        ("personnummer", "811228-9874"),
        ("EMŠO", "0101006500006"),
        ("", "756.9217.0769.85"),
        ("", "390.533.447-05"),
        ("Personalausweis", "T220001293"),
    ],
)
def test_numbers_are_found_and_not_with_another_digit(word: str, number: str) -> None:
    text = f"{word} {number}, thanks".strip()
    assert found(text) == [number]
    unchecked = {"211062-5629", "1234567M"}  # Denmark gave its check up; Malta has none
    if number not in unchecked:
        at = max(at for at, char in enumerate(number) if char.isdigit())
        other = f"{number[:at]}{(int(number[at]) + 1) % 10}{number[at + 1 :]}"
        assert found(f"{word} {other}, thanks".strip()) == []


@pytest.mark.parametrize(
    "text", ["身份证号44051401359", "tax id 36574261809", "ID number: 111222333"]
)
def test_a_word_for_any_countrys_number_will_do(text: str) -> None:
    assert len(found(text)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "order 44051401359",
        "44051401359",
        "PESEL is a number. Order 44051401359",
        "the tax id of order 36574261809",
        "invoice 1630615123457",
        "20241124-0011",
        "2024.11.24-001 22",
    ],
)
def test_numbers_that_nothing_names_are_left_alone(text: str) -> None:
    assert found(text) == []
