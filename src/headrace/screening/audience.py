"""Audiences: which content is stopped and which is noted for whom.

Scores are the levels of content/kind.py: 0.5 is low, 0.7 medium, 0.9 high. A policy's own rule for a
kind takes the place of these. Kinds that no installed detector reports have no rules here either.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from headrace.screening.registry import costly_detectors, detectors_by_kind
from headrace.screening.rule import Rule

if TYPE_CHECKING:
    from headrace.screening.form import Audience

__all__ = ["audience_rules"]

_NEVER: Final = ("sexual/minors", "self-harm/instructions", "illicit/violent")
"""Stopped for everyone, from the lowest level on."""

_BLOCKED_FROM: Final[Mapping[str, Mapping[str, float]]] = {
    "children": dict.fromkeys(
        (
            "harassment",
            "harassment/threatening",
            "hate",
            "hate/threatening",
            "illicit",
            "self-harm",
            "self-harm/intent",
            "sexual",
            "violence",
            "violence/graphic",
        ),
        0.5,
    ),
    "general": {
        "harassment": 0.9,
        "harassment/threatening": 0.7,
        "hate": 0.7,
        "hate/threatening": 0.5,
        "illicit": 0.9,
        "self-harm": 0.9,
        "self-harm/intent": 0.9,
        "sexual": 0.7,
        "violence": 0.9,
        "violence/graphic": 0.7,
    },
    "adult": {
        "harassment/threatening": 0.9,
        "hate": 0.9,
        "hate/threatening": 0.7,
        "illicit": 0.9,
    },
}
_NOTED_FROM: Final = 0.5


def audience_rules(audience: "Audience") -> dict[str, tuple[Rule, ...]]:
    """By kind, the rules that an audience stands for."""
    known = {
        *detectors_by_kind(),
        *(k for each, _ in costly_detectors().values() for k in each.kinds),
    }
    blocked = {**_BLOCKED_FROM[audience], **dict.fromkeys(_NEVER, _NOTED_FROM)}
    noted = Rule(action="flag", threshold=_NOTED_FROM)
    rules: dict[str, tuple[Rule, ...]] = {}
    for kind in {*_BLOCKED_FROM["general"], *_NEVER} & known:
        block = [Rule(action="block", threshold=blocked[kind])] if kind in blocked else []
        rules[kind] = (*block, *([] if blocked.get(kind) == _NOTED_FROM else [noted]))
    return rules
