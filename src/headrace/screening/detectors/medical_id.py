"""Numbers that health services give to patients and doctors."""

from headrace.screening.detectors.card import passes_luhn
from headrace.screening.detectors.named_number import NamedNumberDetector, Shape, cue, standard

__all__ = ["MedicalIdDetector"]

_RECORD = cue(
    r"mrn|medical record(?: number| no| #)?|patient(?: id| number| no| file| record)|chart(?: number| no| #)|hospital (?:number|no|id)",
    r"(?:member|subscriber|policy|insurance|beneficiary|health ?plan|health card)(?: id| number| no| #)(?: number)?",
    "病历号?|病案号|住院号|门诊号|就诊号|就诊卡号?|医保卡?号?|社保卡号?|患者编号|检验号",
)
_NHS = cue(r"nhs(?: number| no| #)?", "国民保健号码?")
_NPI = cue("npi(?: number| no| #)?")
_DEA = cue("dea(?: number| no| #)?")
_INSURED = cue("versichertennummer|krankenversichertennummer|kvnr", "versichertennr|kv-nummer")
_MBI = (
    r"[1-9][AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9][0-9]-?[AC-HJKMNP-RT-Y][AC-HJKMNP-RT-Y0-9][0-9]"
    r"-?[AC-HJKMNP-RT-Y]{2}[0-9]{2}"
)


def _is_dea(number: str) -> bool:
    digits = [int(char) for char in number[2:]]
    return (sum(digits[0:6:2]) + 2 * sum(digits[1:6:2])) % 10 == digits[6]


def _is_npi(number: str) -> bool:
    return passes_luhn("80840" + number)


def _is_insured(number: str) -> bool:
    """The letter as two digits, then alternating weights 1 and 2, digits of products summed."""
    digits = f"{ord(number[0]) - 64:02d}{number[1:]}"
    products = (int(digit) * (1 + i % 2) for i, digit in enumerate(digits[:-1]))
    return sum(sum(divmod(each, 10)) for each in products) % 10 == int(digits[-1])


class MedicalIdDetector(NamedNumberDetector):
    """Finds NHS, NPI, DEA and German insurance numbers with their check digits, Medicare numbers,
    and record and policy numbers behind a word that names them.

    Does not catch: record numbers with fewer than five digits or that nothing names.
    """

    def __init__(self) -> None:
        kind = "medical_id"
        shapes = [
            Shape.of(kind, _MBI),
            Shape.of(kind, r"[0-9]{3}[ \-]?[0-9]{3}[ \-]?[0-9]{4}", _NHS, standard("gb.nhs")),
            Shape.of(kind, r"[12][0-9]{9}", _NPI, _is_npi),
            Shape.of(kind, r"[A-Z]{2}[0-9]{7}", _DEA, _is_dea),
            Shape.of(kind, r"[A-Z][0-9]{9}", _INSURED, _is_insured),
            Shape.of(kind, r"[A-Z]{0,4}-?[0-9]{5,14}|[A-Z0-9]{8,14}", _RECORD),
            Shape.of(kind, r"[A-Z]{0,3}[0-9]{2,6}(?:-[0-9]{2,6}){1,3}", _RECORD),
        ]
        super().__init__("medical_id", shapes, ("en", "zh", "de"))
