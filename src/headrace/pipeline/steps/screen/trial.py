"""Trying a policy on a text, without a turn: what it would find, do and say.

What runs is the step itself. Costly detectors and models that rewrite take part where there are models;
elsewhere they are named as skipped, and what rests on them is not known.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import cast, get_args

import msgspec

from headrace.access.principal import Principal, RoleName
from headrace.errors import PolicyBlocked
from headrace.pipeline.step import Settings, Step
from headrace.pipeline.steps.screen.kit import Kit
from headrace.pipeline.steps.screen.step import ScreenSettings, ScreenStep
from headrace.pipeline.stream import filtered
from headrace.pipeline.turn import Turn
from headrace.screening.finding import STRENGTH, Action, Finding, Side
from headrace.screening.form import PolicyCase
from headrace.screening.policy import Policy
from headrace.types import Delta, Message

__all__ = [
    "Outcome",
    "action_of",
    "differences",
    "skipped_by",
    "try_answer",
    "try_case",
    "try_prompt",
]

_ACTIONS: tuple[Action, ...] = get_args(Action)
_WOULD = "would "


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a policy makes of a text."""

    action: Action
    """The strongest; what it would be where the policy only observes."""
    findings: Sequence[Finding]
    text: str
    """What is left of it: what the model would read, or the user."""
    words: str = ""
    """What the user would be told, where it is stopped."""

    @property
    def kinds(self) -> list[str]:
        """The kinds about which something is done, sorted."""
        return sorted({each.kind for each in self.findings if action_of(each) != "allow"})


def action_of(finding: Finding) -> Action:
    """What is done about a finding, or would be if the policy did not only observe."""
    would = finding.note.removeprefix(_WOULD) if finding.note.startswith(_WOULD) else ""
    return next((each for each in _ACTIONS if each == would), finding.action)


def skipped_by(policy: Policy, kit: Kit) -> list[str]:
    """What of a policy cannot take part: costly detectors without models to ask."""
    if kit.models is not None:
        return []
    return sorted({each.detector.name for side in sides() for each in policy.costly_for(side)})


def sides() -> tuple[Side, ...]:
    """Both of them."""
    return get_args(Side)


async def try_case(policy: Policy, case: PolicyCase, kit: Kit) -> Outcome:
    """What comes of one case of a policy."""
    if case.side == "output":
        return await try_answer(
            policy, case.text, kit, role=case.role, model=case.model, language=case.language
        )
    message = Message(role=case.message, content=case.text)
    return await try_prompt(
        policy, [message], kit, role=case.role, model=case.model, language=case.language
    )


def differences(policy: Policy, case: PolicyCase, outcome: Outcome) -> list[str]:
    """What of an outcome is not as its case expects, in words."""
    expect = case.expect
    wrong: list[str] = []
    if expect.action is not None and outcome.action != expect.action:
        wrong.append(f"action is {outcome.action}, expected {expect.action}")
    if expect.kinds is not None and outcome.kinds != sorted(expect.kinds):
        found, wanted = (
            ", ".join(sorted(each)) or "none" for each in (outcome.kinds, expect.kinds)
        )
        wrong.append(f"kinds are {found}; expected {wanted}")
    if expect.text is not None and outcome.text != expect.text:
        wrong.append(f"text is {outcome.text!r}, expected {expect.text!r}")
    if expect.words is not None and expect.words not in outcome.words:
        wrong.append(f"the user is told {outcome.words!r}, expected {expect.words!r} in it")
    return wrong


async def try_prompt(
    policy: Policy,
    messages: Sequence[Message],
    kit: Kit,
    *,
    role: RoleName = "user",
    model: str = "",
    language: str = "",
) -> Outcome:
    """What comes of the messages of a prompt."""
    turn = _turn(messages, role, model, language)
    words = ""
    try:
        await _step(policy, "input", kit).prepare(turn)
    except PolicyBlocked as refused:
        words = refused.message
    text = "\n\n".join(each.text() for each in turn.messages)
    return _outcome(turn, text, words)


async def try_answer(
    policy: Policy,
    text: str,
    kit: Kit,
    *,
    role: RoleName = "user",
    model: str = "",
    language: str = "",
) -> Outcome:
    """What comes of an answer."""
    # The user's language is that of the answer where nobody says another.
    turn = _turn([Message(role="user", content=text)], role, model, language)
    step = _step(policy, "output", kit)
    steps = [(0, cast("Step[Settings]", step))]

    async def said() -> AsyncGenerator[Delta, None]:
        yield Delta(text=text)
        yield Delta(finish_reason="stop")

    left, words = "", ""
    try:
        async with aclosing(filtered(turn, steps, step.transform(turn, said()), [0.0])) as deltas:
            left = "".join([delta.text async for delta in deltas])
        words = turn.blocked or ""
    except PolicyBlocked as refused:
        words = refused.message
    return _outcome(turn, left, words)


def _turn(messages: Sequence[Message], role: RoleName, model: str, language: str) -> Turn:
    return Turn(
        principal=Principal(key_id="trial", name="trial", role=role),
        messages=list(messages),
        received=list(messages),
        model=model or None,
        language=language or None,
    )


def _step(policy: Policy, side: Side, kit: Kit) -> ScreenStep:
    alone = replace(
        policy,
        file=msgspec.structs.replace(policy.file, overlap=False),
        costly=policy.costly if kit.models is not None else (),
    )
    settings = ScreenSettings(policy=policy.name)
    return ScreenStep(settings, alone, side=side, restores=side == "output", kit=kit)


def _outcome(turn: Turn, text: str, words: str) -> Outcome:
    actions = map(action_of, turn.findings)
    action: Action = max(actions, key=STRENGTH.__getitem__, default="allow")
    return Outcome(action=action, findings=tuple(turn.findings), text=text, words=words)
