"""Values for the templates of personal.py, most of them by faker, each of the language's countries."""

import random
from collections.abc import Callable
from functools import cache

from faker import Faker

__all__ = ["VALUES"]

_LOCALES = {
    "en": ("en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "pl_PL", "en_IN"),
    "zh": ("zh_CN",),
}
_IDS = (
    "en_US",
    "en_GB",
    "it_IT",
    "pl_PL",
    "fi_FI",
    "es_ES",
    "nl_BE",
    "de_AT",
    "sv_SE",
    "ro_RO",
    "hr_HR",
    "et_EE",
    "bg_BG",
    "pt_PT",
)
_CAPITALS = "ABCDEFGHJKLMNPRSTUVWXYZ"


@cache
def _faker(locale: str) -> Faker:
    made = Faker(locale)
    made.seed_instance(1874)
    return made


def _any(language: str, chance: random.Random) -> Faker:
    return _faker(chance.choice(_LOCALES[language]))


def _home(language: str) -> Faker:
    return _faker("zh_CN" if language == "zh" else "en_US")


def _digits(chance: random.Random, count: int) -> str:
    return "".join(str(chance.randrange(10)) for _ in range(count))


def _name(language: str, chance: random.Random) -> str:
    made = _any(language, chance)
    if language == "zh":
        return str(made.name())
    return f"{made.first_name()} {made.last_name()}"


def _national_id(language: str, chance: random.Random) -> str:
    return str(_faker("zh_CN" if language == "zh" else chance.choice(_IDS)).ssn())


def _address(language: str, chance: random.Random) -> str:
    made = _home(language)
    if language == "zh":
        return f"{made.province()}{made.city()}{made.district()}区{made.street_name()}{chance.randint(1, 999)}号"
    if chance.random() < 0.5:
        return str(made.street_address())
    return f"{made.street_address()}, {made.city()}, {made.state_abbr()} {made.postcode()}"


def _plate(language: str, chance: random.Random) -> str:
    if language == "zh":
        return (
            chance.choice("京沪粤苏浙川鲁豫")
            + chance.choice("ABCDE")
            + chance.choice(_CAPITALS)
            + _digits(chance, 4)
        )
    return str(_faker(chance.choice(("en_US", "en_GB", "de_DE"))).license_plate())


def _birth_date(language: str, chance: random.Random) -> str:
    forms = (
        ("%Y年%m月%d日", "%Y-%m-%d")
        if language == "zh"
        else ("%d/%m/%Y", "%B %d, %Y", "%d %B %Y", "%Y-%m-%d")
    )
    return _home(language).date_of_birth(minimum_age=18).strftime(chance.choice(forms))


def _phone(language: str, chance: random.Random) -> str:
    if language == "zh":
        return str(_faker("zh_CN").phone_number())
    area, exchange = chance.choice(("212", "312", "415", "617", "713")), chance.randint(220, 890)
    last = _digits(chance, 4)
    return chance.choice(
        (f"({area}) {exchange}-{last}", f"{area}-{exchange}-{last}", f"+1 {area} {exchange} {last}")
    )


VALUES: dict[str, Callable[[str, random.Random], str]] = {
    "account_number": lambda language, chance: _digits(chance, chance.choice((8, 10, 12))),
    "address": _address,
    "birth_date": _birth_date,
    "card": lambda language, chance: str(_home(language).credit_card_number()),
    "driving_licence": lambda language, chance: chance.choice(_CAPITALS) + _digits(chance, chance.choice((7, 12))),
    "email": lambda language, chance: str(_any(language, chance).ascii_safe_email()),
    "iban": lambda language, chance: str(_faker(chance.choice(("de_DE", "fr_FR", "en_GB", "nl_NL", "it_IT"))).iban()),
    "ip": lambda language, chance: str(_home(language).ipv4_public()),
    "licence_plate": _plate,
    "mac": lambda language, chance: str(_home(language).mac_address()),
    "medical_id": lambda language, chance: _digits(chance, chance.choice((7, 8, 10))),
    "national_id": _national_id,
    "passport": lambda language, chance: ("E" if language == "zh" else chance.choice(("", "X", "GB"))) + _digits(chance, 8),
    "person_name": _name,
    "phone": _phone,
}  # fmt: skip
