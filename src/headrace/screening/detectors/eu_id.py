"""Numbers that the states of the European Union, and some of their neighbours, give to persons."""

from collections.abc import Callable

from headrace.screening.detectors.named_number import NamedNumberDetector, Shape, cue, standard

__all__ = ["EuIdDetector"]

_GENERAL = (
    r"national (?:id|identity|identification|register|insurance)(?: card)?(?: number| no| code)?",
    r"(?:identity|id)(?: card)?(?: number| no| code)",
    r"identity card|id card",
    r"personal (?:id|code|number|identification|identity)(?: number| code)?",
    r"social (?:security|insurance)(?: number| no)?",
    r"tax(?:payer)?(?:'s)? (?:id|identification|identity|number|no)(?: number| no)?",
    "身份证|身份号码|证件号|税号|社保号|社会保险号|个人识别号|纳税人识别号",
)
"""Words that may name a number of any country."""


def _weighted(weights: str, modulus: int) -> Callable[[str], bool]:
    """The last digit is the weighted sum of the others, modulo `modulus`."""

    def check(number: str) -> bool:
        digits = [int(char) for char in number if char.isdigit()]
        total = sum(a * int(b, 16) for a, b in zip(digits, weights, strict=False))
        return total % modulus == digits[-1]

    return check


def _german_card(number: str) -> bool:
    """ICAO 9303: weights 7, 3, 1 over nine signs, letters from 10 on."""
    values = [int(char, 36) for char in number]
    return sum(a * b for a, b in zip(values[:9], (7, 3, 1) * 3, strict=True)) % 10 == values[9]


def _ean(number: str) -> bool:
    digits = [int(char) for char in number if char.isdigit()]
    return (sum(digits[::2]) + 3 * sum(digits[1::2])) % 10 == 0


def _luxembourg(number: str) -> bool:
    return standard("luhn")(number[:12])


def _shape(
    pattern: str, module: str | Callable[[str], bool], *words: str, bare: bool = False
) -> Shape:
    """A national id; a `bare` one needs no word in front."""
    check = standard(module) if isinstance(module, str) else module
    return Shape.of("national_id", pattern, None if bare else cue(*_GENERAL, *words), check)


_DATE = r"[0-9]{2}[0-9]{2}[0-9]{2}"
_NOT_JOINED = r"(?<![0-9][\-./])"
SHAPES = (
    _shape(r"[0-9]{4} ?[0-3][0-9][01][0-9]{3}", "at.vnr", "sv-?nr|svnr|sozialversicherungsnummer|vsnr"),
    _shape(_NOT_JOINED + r"[0-9]{2}\.[0-9]{2}\.[0-9]{2}-[0-9]{3}[. ][0-9]{2}", "be.nn", bare=True),
    _shape(r"[0-9]{11}", "be.nn", "rijksregisternummer|niss|insz", "num[eé]ro national|registre national"),
    _shape(r"[0-9]{10}", "bg.egn", "egn", "егн"),
    _shape(r"[0-9]{11}", "hr.oib", "oib"),
    _shape(r"[0-9]{8}[A-Z]", "cy.vat", "tic"),
    _shape(_NOT_JOINED + r"[0-9]{6}/[0-9]{4}", "cz.rc", bare=True),
    _shape(r"[0-9]{9,10}", "cz.rc", "rodn[eé] č[ií]slo|rč", "rodne cislo"),
    _shape(r"[0-9]{2} ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}", "de.idnr", "steuer-?id|idnr|identifikationsnummer|steueridentifikationsnummer|steuer-idnr|steuer-identifikationsnummer"),
    _shape(r"[CFGHJKLMNPRTVWXYZ][0-9CFGHJKLMNPRTVWXYZ]{8}[0-9]", _german_card, "personalausweis|personalausweisnummer|ausweisnummer|ausweis"),
    _shape(_DATE + r"-?[0-9]{4}", "dk.cpr", "cpr|cpr-nummer|cpr-nr|personnummer"),
    _shape(r"[1-8][0-9]{10}", "ee.ik", "isikukood"),
    _shape(r"[1-9][0-9]{10}", "lt.asmens", "asmens kodas"),
    _shape(r"[0-9]{8}-?[A-HJ-NP-TV-Z]", "es.dni", bare=True),
    _shape(r"[XYZ]-?[0-9]{7}-?[A-HJ-NP-TV-Z]", "es.nie", bare=True),
    _shape(_NOT_JOINED + _DATE + r"[\-A-FU-Y][0-9]{3}[0-9A-Y]", "fi.hetu", bare=True),
    _shape(
        r"[12] ?[0-9]{2} ?[0-9]{2} ?(?:[0-9]{2}|2[AB]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}", "fr.nir", bare=True
    ),
    _shape(r"[0-9]{11}", "gr.amka", "amka", "αμκα"),
    _shape(r"[0-9]{3}[ \-]?[0-9]{3}[ \-]?[0-9]{3}", _weighted("37373737", 10), "taj|taj-sz[aá]m", "taj szám"),
    _shape(r"8[0-9]{9}", _weighted("123456789", 11), "ad[oó]azonos[ií]t[oó](?: jel)?", "adóazonosító"),
    _shape(r"[0-9]{7}[A-W][A-IW]?", "ie.pps", "pps|ppsn|pps number|pps no"),
    _shape(r"[A-Z]{6}[0-9]{2}[A-Z][0-9]{2}[A-Z][0-9]{3}[A-Z]", "it.codicefiscale", bare=True),
    _shape(_DATE + r"-?[0-9]{5}", "lv.pvn", "personas kods"),
    _shape(r"(?:19|20)[0-9]{11}", _luxembourg, "matricule"),
    _shape(r"[0-9]{7}[MGAPLHBZ]", str.isalnum, "karta tal-identit", "karta tal-identità"),
    _shape(r"[0-9]{4}[. ]?[0-9]{2}[. ]?[0-9]{3}|[0-9]{9}", "nl.bsn", "bsn|burgerservicenummer|sofinummer|bsn-nummer"),
    _shape(r"[0-9]{11}", "pl.pesel", "pesel"),
    _shape(r"[1235689][0-9]{2} ?[0-9]{3} ?[0-9]{3}", "pt.nif", "nif|contribuinte", "número de contribuinte"),
    _shape(r"[0-9]{8} ?[0-9] ?[A-Z0-9]{2}[0-9]", "pt.cc", "cart[aã]o de cidad[aã]o|bilhete de identidade", "cartão de cidadão"),
    _shape(r"[1-9][0-9]{12}", "ro.cnp", "cnp|cod numeric personal"),
    _shape(r"(?:19|20)?[0-9]{6}[\-]?[0-9]{4}", "se.personnummer", "personnummer|pnr"),
    _shape(r"[0-9]{13}", "si.emso", "emso|emšo"),
    _shape(r"756\.[0-9]{4}\.[0-9]{4}\.[0-9]{2}", _ean, bare=True),
    _shape(_NOT_JOINED + r"[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}", "br.cpf", bare=True),
    _shape(r"[0-9]{3}[ \-]?[0-9]{3}[ \-]?[0-9]{3}", "ca.sin", "sin|sin number"),
    _shape(r"[2-9][0-9]{3} ?[0-9]{4} ?[0-9]{4}", "in_.aadhaar", "aadhaar|aadhar"),
    _shape(r"9[0-9]{2}-[5-9][0-9]-[0-9]{4}", str.isascii, "itin"),
)  # fmt: skip


class EuIdDetector(NamedNumberDetector):
    """Finds personal numbers of all member states, Switzerland, Brazil, Canada and India.

    Each is checked by its own check digits (python-stdnum; Malta has none). Those that plain
    numbers resemble count only shortly behind a word that names them, in their own language,
    English or Chinese. Does not catch: Greek and Cypriot identity cards, numbers named in a third
    country's language.
    """

    def __init__(self) -> None:
        super().__init__("eu_id", SHAPES, ("en", "zh", "de", "fr", "es", "it", "nl", "pl", "pt"))
