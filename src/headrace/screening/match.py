"""Running detectors over a text, and settling what overlaps.

What changes or stops a text and overlaps becomes one: hiding only the longest would let a piece of
the others out. What is only noted hides nothing, so it stands beside whatever else was found.

A detector that raises makes a match of its own, `fault.raised`, over all that it should have looked
at: where the policy fails closed, it blocks. That of the floor always does.
"""

from collections.abc import Iterable, Sequence
from operator import attrgetter

import msgspec

from headrace.screening.content.floor import FLOOR_DETECTOR
from headrace.screening.content.kind import FLOOR_KIND
from headrace.screening.finding import STRENGTH, Action, Detector, Finding, Side
from headrace.screening.rule import Rule, SideRules

__all__ = ["RAISED", "Match", "fault", "find_matches", "matched", "merge"]

RAISED = "fault.raised"
"""The kind of a finding that says: this detector failed here."""


class Match(msgspec.Struct, frozen=True):
    """A detector's match and what the policy does about it."""

    start: int
    end: int
    kind: str
    detector: str
    action: Action
    score: float
    acts: bool = True
    """Whether the text is changed or stopped for it, right here."""
    holds: bool = False
    """Whether the whole text is kept back for it."""
    rule: Rule | None = None
    note: str = ""

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
            note=self.note,
        )

    @property
    def is_noted(self) -> bool:
        """Whether it goes into the trace and leaves the text as it is."""
        return not (self.acts or self.holds or self.action == "allow")


def find_matches(
    text: str, start: int, detectors: Iterable[Detector], rules: SideRules
) -> list[Match]:
    """All matches from `start` on, allowed ones too, in no order.

    A prompt's match counts from its beginning; an answer's from where it must not be shown.
    """
    hidden_only = rules.side == "output"
    found: list[Match] = []
    for detector in detectors:
        try:
            for span in detector.detect(text, start):
                begin = span.shown if hidden_only else span.start
                rule = rules.rule(span, text)
                found.append(
                    matched(
                        rules,
                        rule,
                        begin,
                        span.end,
                        span.kind,
                        detector.name,
                        span.score,
                        span.note,
                    )
                )
        except Exception as error:  # noqa: BLE001  a detector may be anybody's; never a silent pass
            found.append(fault(rules, detector.name, start, len(text), error))
    return found


def matched(
    rules: SideRules,
    rule: Rule,
    start: int,
    end: int,
    kind: str,
    detector: str,
    score: float,
    why: str = "",
) -> Match:
    """What comes of a span to which a rule applies."""
    action = rule.action
    if rules.observes and action not in ("allow", "flag") and kind != FLOOR_KIND:
        return Match(start, end, kind, detector, "flag", score, acts=False, note=f"would {action}")
    if action == "ask" and kind in rules.confirmed:
        return Match(start, end, kind, detector, "flag", score, acts=False, note="confirmed")
    note = why
    if action == "escalate":
        note = "" if rule.holds else "sent"
    return Match(start, end, kind, detector, action, score, rule.acts, rule.holds, rule, note)


def fault(
    rules: SideRules,
    detector: str,
    start: int,
    end: int,
    error: Exception | str,
    kind: str = RAISED,
    *,
    mode: str | None = None,
) -> Match:
    """What stands for a look that a detector could not take. Never says what the text was."""
    note = error if isinstance(error, str) else type(error).__name__
    closed = (mode or rules.on_error) == "closed" and not rules.observes
    closed = closed or detector == FLOOR_DETECTOR
    action: Action = "block" if closed else "flag"
    return Match(start, end, kind, detector, action, 1.0, closed, note=note)


def merge(matches: Iterable[Match]) -> list[Match]:
    """What acts, in order of the text, what overlaps made one.

    The kind is that of the longest, then the strongest, then by name; the action the strongest.
    """
    merged: list[Match] = []
    group: list[Match] = []
    end = -1
    acting = [match for match in matches if match.acts]
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
    strongest = max(group, key=lambda each: (STRENGTH[each.action], each is first, each.kind))
    return msgspec.structs.replace(
        first,
        start=min(each.start for each in group),
        end=max(each.end for each in group),
        action=strongest.action,
        rule=strongest.rule,
    )
