"""Running detectors over a text, and settling what overlaps.

Masks and blocks that overlap become one: hiding only the longest would let a piece of the others
out. Flags hide nothing, so they stand beside whatever else was found.
"""

from collections.abc import Iterable, Sequence
from operator import attrgetter

import msgspec

from headrace.screening.finding import STRENGTH, Action, Detector, Finding, Side
from headrace.screening.rule import SideRules

__all__ = ["Match", "find_matches", "merge"]


class Match(msgspec.Struct, frozen=True):
    """A detector's match and what the policy does about it."""

    start: int
    end: int
    kind: str
    detector: str
    action: Action
    score: float

    def finding(self, side: Side, *, offset: int = 0, message: int | None = None) -> Finding:
        return Finding(
            kind=self.kind,
            detector=self.detector,
            side=side,
            action=self.action,
            start=self.start + offset,
            end=self.end + offset,
            score=self.score,
            message=message,
        )


def find_matches(
    text: str, start: int, detectors: Iterable[Detector], rules: SideRules
) -> list[Match]:
    """All matches from `start` on, allowed ones too, in no order.

    A prompt's match counts from its beginning; an answer's from where it must not be shown.
    """
    hidden_only = rules.side == "output"
    return [
        Match(
            span.shown if hidden_only else span.start,
            span.end,
            span.kind,
            detector.name,
            rules.action(span, text),
            span.score,
        )
        for detector in detectors
        for span in detector.detect(text, start)
    ]


def merge(matches: Iterable[Match]) -> list[Match]:
    """Masks and blocks in order of the text, those that overlap made one.

    The kind is that of the longest, then the strongest, then by name; the action the strongest.
    """
    merged: list[Match] = []
    group: list[Match] = []
    end = -1
    acting = [match for match in matches if match.action in ("mask", "block")]
    for match in sorted(acting, key=attrgetter("start", "end")):
        if group and match.start >= end:
            merged.append(_one(group))
            group = []
        group.append(match)
        end = max(end, match.end) if len(group) > 1 else match.end
    if group:
        merged.append(_one(group))
    return merged


def _one(group: Sequence[Match]) -> Match:
    if len(group) == 1:
        return group[0]
    first = min(
        group,
        key=lambda each: (
            each.start - each.end,
            -STRENGTH[each.action],
            each.kind,
            each.detector,
        ),
    )
    strongest = max((each.action for each in group), key=STRENGTH.__getitem__)
    return msgspec.structs.replace(
        first,
        start=min(each.start for each in group),
        end=max(each.end for each in group),
        action=strongest,
    )
