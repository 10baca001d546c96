"""Signs of injection that can be named: which rule, and why it is one, in words.

English and Chinese, with the commonest override in German, French, Spanish, Italian and Portuguese.
Each pattern is looked for only in a text that has one of its `needs`, and looks at a bounded
stretch, so the time is linear in the text.
"""

import re

import msgspec

from headrace.screening.injection.pattern import CHINESE, ENGLISH, OTHERS

__all__ = ["Hit", "Sign", "find_signs", "signs"]


class Sign(msgspec.Struct, frozen=True):
    """One way it is done. `needs`: words of which at least one stands in every match."""

    family: str
    score: float
    why: str
    needs: tuple[str, ...]
    pattern: re.Pattern[str]


class Hit(msgspec.Struct, frozen=True):
    """A sign that was seen, and where."""

    sign: Sign
    start: int
    end: int


WHY = {
    "override": "tells the model to drop the orders it has",
    "extraction": "asks for the service's own instructions or secrets",
    "role": "gives the model a role without the service's rules",
    "jailbreak": "names a known way around a model's rules",
    "refusal": "forbids the model to refuse or to warn",
    "delimiter": "imitates the marks between the service's words and others'",
    "encoded": "wants hidden text decoded and obeyed",
    "concealment": "wants something kept from the user",
    "priming": "puts the beginning of the answer into the model's mouth",
}
"""By family, in words for a person who reads a trace."""

_SIGNS = tuple(
    Sign(family, score, WHY[family], tuple(needs.split("|")), re.compile(pattern))
    for family, score, needs, pattern in (*ENGLISH, *CHINESE, *OTHERS)
)


def signs() -> tuple[Sign, ...]:
    """All rules, for docs and tests."""
    return _SIGNS


def find_signs(folded: str, start: int = 0) -> list[Hit]:
    """The strongest sign of each family in a folded text."""
    found: dict[str, Hit] = {}
    for sign in _SIGNS:
        known = found.get(sign.family)
        if known is not None and known.sign.score >= sign.score:
            continue
        if not any(need in folded for need in sign.needs):
            continue
        match = sign.pattern.search(folded, start)
        if match is not None:
            found[sign.family] = Hit(sign, match.start(), match.end())
    return list(found.values())
