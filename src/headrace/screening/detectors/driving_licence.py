"""Numbers of driving licences."""

from headrace.screening.detectors.named_number import NamedNumberDetector, Shape, cue

__all__ = ["DrivingLicenceDetector"]

_SAYS = cue(
    r"driv(?:er|ing|er'?s|ers'?)[ \-]?licen[cs]e(?: number| no| #)?|dl(?: number| no| #)?|driver'?s permit",
    r"f[uü]hrerschein(?:nummer)?|permis de conduire|patente di guida|permiso de conducir|rijbewijs(?:nummer)?",
    "驾驶证|驾照|驾驶执照|führerschein(?:nummer)?",
)
_BRITISH = r"[A-Z]{1,5}9{0,4}[0-9][05-6][0-9]{4}[A-Z9]{2}[0-9A-Z]{3}"
_PATTERNS = (
    r"[0-9]{7,9}",  # Texas, Pennsylvania, New York …
    r"[0-9]{3} ?[0-9]{3} ?[0-9]{3}",  # New York, as printed
    r"[A-Z]{1,2}[0-9]{5,14}",  # California, Florida, Michigan …
    r"[A-Z][0-9]{3}(?:[ \-][0-9]{2,4}){2,4}",  # Florida, Illinois, Wisconsin, as printed
    r"[A-Z0-9]{9}[0-9][A-Z0-9]",  # Germany
    r"[0-9]{12}(?:[0-9]{5}[0-9X])?",  # China: file number, or the resident id
    r"[A-Z]{2}[0-9]{7}[A-Z]",  # Italy
)


def _is_british(number: str) -> bool:
    """Five signs of the surname, then year and month of birth, the day between them."""
    month, day = int(number[6:8]), int(number[8:10])
    return len(number) == 16 and (1 <= month <= 12 or 51 <= month <= 62) and 1 <= day <= 31


class DrivingLicenceDetector(NamedNumberDetector):
    """Finds British licence numbers by themselves, and others behind a word for the licence.

    Does not catch: other countries' numbers that nothing names.
    """

    def __init__(self) -> None:
        british = Shape.of(
            "driving_licence",
            r"(?=[A-Z0-9]{16}(?![A-Z0-9]))[A-Z]{2,5}9{0,3}[0-9]{6}[A-Z9]{2}[0-9A-Z]{3}",
            None,
            _is_british,
        )
        shapes = [Shape.of("driving_licence", pattern, _SAYS) for pattern in _PATTERNS]
        super().__init__(
            "driving_licence", [british, *shapes], ("en", "zh", "de", "es", "fr", "it", "nl")
        )
