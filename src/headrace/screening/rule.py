"""What is done about findings: rules by kind, for one side of the model."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Final, Literal, NamedTuple, TypeAlias

import msgspec

from headrace.access.principal import RoleName
from headrace.screening.content.kind import FLOOR_KIND
from headrace.screening.finding import (
    LOOKBEHIND,
    Action,
    Detector,
    Side,
    Span,
    StreamDetector,
)
from headrace.screening.plain import (
    Alert,
    alerts_of,
    plain_pattern,
    without_alerting,
    without_numeric,
)
from headrace.types import Role

__all__ = [
    "ANYONE",
    "NO_RULES",
    "Asked",
    "FailMode",
    "Pending",
    "Rule",
    "SideRules",
    "When",
    "Whom",
    "pending_of",
    "sided",
]

Pending: TypeAlias = Callable[[str, int], int]
"""Where, from an index on, a match may begin that more text would decide."""

FailMode: TypeAlias = Literal["open", "closed"]
"""What happens when a detector cannot say: `closed` refuses, `open` lets pass; both are noted."""


class When(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom a rule is for. What is absent is anyone; all that is said must hold."""

    roles: list[RoleName] | None = None
    """Roles of the key: `admin`, `user`."""
    messages: list[Role] | None = None
    """Roles of the message (prompts only): `user`, `assistant`, `tool`, …"""
    models: list[str] | None = None
    """Names that requests give as their model: models and routes."""
    languages: list[str] | None = None
    """Languages of the user (ISO 639-1). One that is not known is none of them."""


@dataclass(frozen=True, slots=True)
class Whom:
    """Who asks, and how: what the conditions of rules look at."""

    role: RoleName = "user"
    model: str = ""
    language: str = ""
    message: Role | None = None
    """Of a prompt's message; None for an answer."""

    def meets(self, when: When) -> bool:
        """Whether a rule with these conditions is for it."""
        return (
            (when.roles is None or self.role in when.roles)
            and (when.messages is None or self.message in when.messages)
            and (when.models is None or self.model in when.models)
            and (when.languages is None or self.language in when.languages)
        )


ANYONE: Final = When()


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What happens to matches of a kind from a score on."""

    action: Action
    """What is done, see the table of actions."""
    threshold: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.0
    """The rule applies to matches with this score or more. Checked detectors score 1."""
    when: When = ANYONE
    """Whom it is for; absent: everyone."""
    replacement: str | None = None
    """`rewrite`: this text stands in the place of what was found."""
    instruction: str | None = None
    """`rewrite`: a model rewrites the whole text by this instruction; what it gives is screened."""
    model: str | None = None
    """`rewrite`: the model that does it; absent: the first of `models:`."""
    answer: Literal["withhold", "send"] = "withhold"
    """`escalate`: whether the user waits for a person, or gets the answer meanwhile."""

    @property
    def by_model(self) -> bool:
        """Whether a model rewrites the text."""
        return self.action == "rewrite" and self.replacement is None

    @property
    def acts(self) -> bool:
        """Whether the text is changed or stopped right where the match is."""
        return self.action in ("mask", "block") or (
            self.action == "rewrite" and self.replacement is not None
        )

    @property
    def holds(self) -> bool:
        """Whether the whole text is kept back for it."""
        return (
            self.action == "ask"
            or self.by_model
            or (self.action == "escalate" and self.answer == "withhold")
        )

    @property
    def only_notes(self) -> bool:
        """Whether the text stays as it is, and goes on."""
        return self.action != "allow" and not self.acts and not self.holds


NO_RULE: Final = Rule(action="allow")


class Asked(NamedTuple):
    """Detectors that a piece of an answer is shown to."""

    detectors: tuple[Detector, ...]
    pending: tuple[Pending, ...]
    """For each of them."""


@dataclass(frozen=True, slots=True)
class SideRules:
    """A policy for one side: what to run, and what its findings lead to."""

    side: Side
    acting: tuple[Detector, ...]
    """Detectors with a rule that changes or stops the text."""
    noting: tuple[Detector, ...]
    """Of the others, those whose findings leave the text as it is."""
    rules: Mapping[str, tuple[Rule, ...]]
    allowed: Mapping[str, re.Pattern[str]]
    observes: bool = False
    """Whether decisions are only noted."""
    on_error: FailMode = "closed"
    """What happens when a detector raises."""
    confirmed: frozenset[str] = frozenset()
    """Kinds that the user has confirmed: `ask` lets them pass."""
    holding: tuple[Detector, ...] = ()
    """Detectors with a rule that keeps the whole text back; they may be among the others too."""
    asked: Mapping[tuple[bool, bool], Asked] = field(init=False)
    """Of the acting ones, those that must see a text: by whether it has numbers, and whether there was
    an alert (see plain.py)."""
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
    alerts: tuple[Alert, ...] = field(init=False)
    """What to ask about each piece all the same."""
    reach: int = field(init=False)
    """Characters behind an alert in which those who gave it must see the text."""
    detectors: tuple[Detector, ...] = field(init=False)
    """All of them, each once."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "asked", _asked_of(self.acting))
        watching = tuple(each for each in self.noting if each.window is not None)
        object.__setattr__(self, "watching", watching)
        object.__setattr__(self, "judging", tuple(e for e in self.noting if e.window is None))
        object.__setattr__(self, "watch_pending", tuple(map(pending_of, watching)))
        every = map(_context_of, (*self.acting, *self.noting))
        object.__setattr__(self, "context", max((LOOKBEHIND, *every)))
        object.__setattr__(self, "plain", plain_pattern(self.acting))
        object.__setattr__(self, "alerts", alerts_of(self.acting))
        alerting = (each.window or 0 for each in self.acting if hasattr(each, "alert"))
        object.__setattr__(self, "reach", max(alerting, default=0))
        others = [each for each in self.holding if each not in (*self.acting, *self.noting)]
        object.__setattr__(self, "detectors", (*self.acting, *self.noting, *others))

    def rule(self, span: Span, text: str) -> Rule:
        """What is said about a match in `text`."""
        rules = self.rules.get(span.kind)
        if rules is None:
            return NO_RULE
        allowed = self.allowed.get(span.kind)
        if allowed is not None and allowed.fullmatch(text, span.start, span.end):
            return NO_RULE
        for rule in rules:
            if span.score >= rule.threshold:
                return rule
        return NO_RULE

    def action(self, span: Span, text: str) -> Action:
        """What happens to a match in `text`."""
        return self.rule(span, text).action

    def without(self, detector: str) -> "SideRules":
        """The same without one detector, which has failed."""

        def others(detectors: tuple[Detector, ...]) -> tuple[Detector, ...]:
            return tuple(each for each in detectors if each.name != detector)

        acting, noting, holding = map(others, (self.acting, self.noting, self.holding))
        return replace(self, acting=acting, noting=noting, holding=holding)

    def with_confirmed(self, kinds: frozenset[str]) -> "SideRules":
        """The same for a user who has confirmed some kinds."""
        return replace(self, confirmed=kinds)


def sided(
    side: Side,
    detectors: Sequence[Detector],
    rules: Mapping[str, tuple[Rule, ...]],
    allowed: Mapping[str, re.Pattern[str]],
    *,
    observes: bool = False,
    on_error: FailMode = "closed",
) -> SideRules:
    """The rules of a side, with those of the detectors that they need."""
    acting: list[Detector] = []
    noting: list[Detector] = []
    holding: list[Detector] = []
    for detector in detectors:
        said = [rule for kind in detector.kinds for rule in rules.get(kind, ())]
        always = FLOOR_KIND in detector.kinds
        if observes and not always and any(rule.action != "allow" for rule in said):
            noting.append(detector)
            continue
        if any(rule.holds for rule in said):
            holding.append(detector)
        if any(rule.acts for rule in said):
            acting.append(detector)
        elif any(rule.only_notes for rule in said):
            noting.append(detector)
    return SideRules(
        side,
        tuple(acting),
        tuple(noting),
        rules,
        allowed,
        observes,
        on_error,
        holding=tuple(holding),
    )


def _asked_of(acting: tuple[Detector, ...]) -> Mapping[tuple[bool, bool], Asked]:
    asked: dict[tuple[bool, bool], Asked] = {}
    for is_numeric in (False, True):
        for is_alert in (False, True):
            some = acting if is_numeric else without_numeric(acting)
            some = some if is_alert else without_alerting(some)
            asked[is_numeric, is_alert] = Asked(some, tuple(map(pending_of, some)))
    return asked


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
