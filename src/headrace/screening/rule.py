"""What is done about findings: rules by kind, for one side of the model."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, TypeAlias

import msgspec

from headrace.screening.finding import (
    LOOKBEHIND,
    Action,
    Detector,
    Side,
    Span,
    StreamDetector,
)
from headrace.screening.plain import plain_pattern, without_numeric

__all__ = ["NO_RULES", "Pending", "Rule", "SideRules", "pending_of"]

Pending: TypeAlias = Callable[[str, int], int]
"""Where, from an index on, a match may begin that more text would decide."""


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happens to matches of a kind from a score on."""

    action: Action
    """`allow`: nothing. `flag`: note it in the trace. `mask`: hide the text. `block`: refuse."""
    threshold: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    """The rule applies to matches with this score or more. Checked detectors score 1."""


@dataclass(frozen=True, slots=True)
class SideRules:
    """A policy for one side: what to run, and what its findings lead to."""

    side: Side
    acting: tuple[Detector, ...]
    """Detectors with a rule that masks or blocks."""
    noting: tuple[Detector, ...]
    """Detectors whose findings are only flagged."""
    rules: Mapping[str, tuple[Rule, ...]]
    allowed: Mapping[str, re.Pattern[str]]
    pending: tuple[Pending, ...] = field(init=False)
    """For each acting detector, in order."""
    wordy: tuple[Detector, ...] = field(init=False)
    """Of the acting ones, those that must see text without numbers too (see plain.py)."""
    wordy_pending: tuple[Pending, ...] = field(init=False)
    """For each of them."""
    watching: tuple[Detector, ...] = field(init=False)
    """Of the noting ones, those that need not see the whole text."""
    watch_pending: tuple[Pending, ...] = field(init=False)
    """For each of them."""
    judging: tuple[Detector, ...] = field(init=False)
    """Of the noting ones, those that must see the whole text."""
    context: int = field(init=False)
    """Characters before what is looked at that any of them may look back to."""
    plain: re.Pattern[str] | None = field(init=False)
    """Text that no acting detector waits for, see plain.py."""

    def __post_init__(self) -> None:
        wordy = without_numeric(self.acting)
        object.__setattr__(self, "wordy", wordy)
        object.__setattr__(self, "wordy_pending", tuple(map(pending_of, wordy)))
        watching = tuple(each for each in self.noting if each.window is not None)
        object.__setattr__(self, "watching", watching)
        object.__setattr__(self, "judging", tuple(e for e in self.noting if e.window is None))
        object.__setattr__(self, "pending", tuple(map(pending_of, self.acting)))
        object.__setattr__(self, "watch_pending", tuple(map(pending_of, watching)))
        every = map(_context_of, (*self.acting, *self.noting))
        object.__setattr__(self, "context", max((LOOKBEHIND, *every)))
        object.__setattr__(self, "plain", plain_pattern(self.acting))

    def action(self, span: Span, text: str) -> Action:
        """What happens to a match in `text`."""
        rules = self.rules.get(span.kind)
        if rules is None:
            return "allow"
        allowed = self.allowed.get(span.kind)
        if allowed is not None and allowed.fullmatch(text, span.start, span.end):
            return "allow"
        for rule in rules:
            if span.score >= rule.threshold:
                return rule.action
        return "allow"


def pending_of(detector: Detector) -> Pending:
    """What a stream must wait for: as the detector says, or its whole window."""
    if isinstance(detector, StreamDetector):
        return detector.pending
    window = detector.window
    if window is None:
        return lambda text, start: start
    return lambda text, start: max(start, len(text) - window)


def _context_of(detector: Detector) -> int:
    """How far back a detector may look, in characters."""
    return LOOKBEHIND if isinstance(detector, StreamDetector) else detector.window or 0


NO_RULES = SideRules(side="output", acting=(), noting=(), rules={}, allowed={})
"""Nothing to find: for putting masked values back and nothing else."""
