"""What no policy can switch off: sexual content that involves minors is stopped, always.

A policy may stop it from a lower score on than the floor's; it cannot allow it, mask it or only note
it. It holds on both sides and also where a policy only observes.
"""

from collections.abc import Mapping
from typing import Final

from headrace.screening.content.kind import FLOOR_KIND
from headrace.screening.rule import Rule

__all__ = ["FLOOR", "FLOOR_DETECTOR", "with_floor"]

FLOOR_DETECTOR: Final = "sexual_minors"
FLOOR: Final = Rule(action="block", threshold=0.7)
"""From the level `medium` on."""


def with_floor(rules: Mapping[str, tuple[Rule, ...]]) -> dict[str, tuple[Rule, ...]]:
    """The rules of one side, with the floor under them."""
    own = rules.get(FLOOR_KIND, ())
    if own and own[0].action == "block" and own[0].threshold <= FLOOR.threshold:
        return dict(rules)
    strict = [each for each in own if each.action == "block" and each.threshold >= FLOOR.threshold]
    lower = [each for each in own if each.threshold < FLOOR.threshold]
    return {**rules, FLOOR_KIND: (*strict, FLOOR, *lower)}
