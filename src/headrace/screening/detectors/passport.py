"""Passport numbers."""

from headrace.screening.detectors.named_number import NamedNumberDetector, Shape, cue

__all__ = ["PassportDetector"]

_SAYS = cue(
    r"passports?(?: number| no| #)?|travel document(?: number| no)?",
    r"reisepass(?:nummer)?|passnummer|pasaporte|passeport|passaporto|paspoort(?:nummer)?",
    "护照|通行证|旅行证件",
)
_PATTERNS = (
    r"[0-9]{8,9}",  # US, UK, Hong Kong and many others
    r"[A-Z]{1,3} ?[0-9]{6,9}",  # India, China, Italy, Poland, Japan, Spain …
    r"[A-Z][0-9]{2}[A-Z][0-9]{2}[A-Z][0-9]{2}|[CFGHJK][0-9CFGHJKLMNPRTVWXYZ]{8}",  # Germany
    r"[0-9]{2}[A-Z]{2}[0-9]{5}",  # France
    r"[A-Z]{2}[0-9][A-Z0-9]{6}|[A-Z]{2}[A-Z0-9][0-9]{6}",  # Netherlands, Belgium, Italy
)


class PassportDetector(NamedNumberDetector):
    """Finds what has a passport number's shape shortly behind a word for "passport".

    Does not catch: numbers that nothing names (they have no check digit), machine-readable zones.
    """

    def __init__(self) -> None:
        shapes = [Shape.of("passport", pattern, _SAYS) for pattern in _PATTERNS]
        super().__init__("passport", shapes, ("en", "zh", "de", "es", "fr", "it", "nl"))
