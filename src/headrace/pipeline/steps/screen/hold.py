"""Answers that are kept back until all of them is known: for costly detectors, and for rules that
ask, escalate, or have a model write an answer anew.

The filters of the stream come after it, so whatever is let go here is screened like any answer.
"""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

import msgspec

from headrace.errors import HeadraceError, PolicyBlocked
from headrace.pipeline.steps.screen.decision import refusal, settle
from headrace.pipeline.steps.screen.errors import ConfirmationRequired
from headrace.pipeline.steps.screen.kit import Kit
from headrace.pipeline.steps.screen.prompt import stopped
from headrace.pipeline.steps.screen.rewrite import rewritten
from headrace.pipeline.steps.screen.verdict import Judged, Piece, doubted, judge
from headrace.pipeline.turn import Turn
from headrace.screening.finding import Finding
from headrace.screening.masking import MaskTable
from headrace.screening.match import RAISED, Match, fault, find_matches, merge
from headrace.screening.policy import Policy
from headrace.screening.prompt import edited, findings_of
from headrace.screening.rule import Rule, SideRules
from headrace.types import Delta, Deltas

__all__ = ["HeldAnswer"]


@dataclass(slots=True)
class _Choice:
    """One choice as it came."""

    deltas: list[Delta] = field(default_factory=list)

    def text(self) -> str:
        return "".join(each.text for each in self.deltas)

    def others(self) -> list[str]:
        """What else the reader or a program gets to see of it."""
        calls: dict[int, list[str]] = {}
        for delta in self.deltas:
            for call in delta.tool_calls or ():
                if call.function is not None and call.function.arguments:
                    calls.setdefault(call.index, []).append(call.function.arguments)
        whole = (
            "".join(each.reasoning for each in self.deltas),
            "".join(each.refusal for each in self.deltas),
        )
        return [each for each in (*whole, *map("".join, calls.values())) if each]

    def with_text(self, text: str) -> list[Delta]:
        """The same with another text; log probabilities were those of the first."""
        kept = [msgspec.structs.replace(each, text="", logprobs=None) for each in self.deltas]
        rest = [each for each in kept if each.reasoning or each.refusal or each.tool_calls]
        ends = [
            Delta(index=each.index, finish_reason=each.finish_reason)
            for each in kept
            if each.finish_reason
        ]
        begun = [msgspec.structs.replace(each, finish_reason=None) for each in rest]
        return [*begun, Delta(index=kept[0].index, text=text), *ends]


class HeldAnswer:
    """Gathers an answer, decides, and lets it go, or says why not."""

    def __init__(self, policy: Policy, rules: SideRules, turn: Turn, kit: Kit) -> None:
        self._policy = policy
        self._rules = rules
        self._turn = turn
        self._kit = kit

    async def over(self, deltas: Deltas) -> Deltas:
        """The answer, once it is decided about.

        Raises:
            ConfirmationRequired: the user has to confirm what was found; nothing has left.
        """
        self._turn.is_held = True
        choices: dict[int, _Choice] = {}
        order: list[Delta] = []
        async with aclosing(deltas) as upstream:
            async for delta in upstream:
                order.append(delta)
                if delta.usage is None:
                    choices.setdefault(delta.index, _Choice()).deltas.append(delta)
        replaced: dict[int, list[Delta]] = {}
        for index, choice in choices.items():
            made = await self._decided(index, choice)
            if made is not None:
                replaced[index] = made
        for delta in order:
            if delta.usage is None and delta.index in replaced:
                for each in replaced.pop(delta.index):
                    yield each
                choices.pop(delta.index)
            elif delta.usage is not None or delta.index in choices:
                yield delta

    async def note(self, deltas: Deltas) -> Deltas:
        """The answer as it comes; what only costly detectors note is noted at its end."""
        choices: dict[int, _Choice] = {}
        async with aclosing(deltas) as upstream:
            async for delta in upstream:
                if delta.usage is None:
                    choices.setdefault(delta.index, _Choice()).deltas.append(delta)
                yield delta
        for choice in choices.values():
            _, judged = await self._look(choice.text(), ())
            found = [_noted(each.match).finding("output") for each in judged]
            self._turn.findings += found

    async def _decided(self, index: int, choice: _Choice) -> list[Delta] | None:
        """What leaves in place of a choice; None: the choice as it is."""
        text, others = choice.text(), choice.others()
        matches, judged = await self._look(text, others)
        inside = [each.match for each in judged if each.piece.part == 0]
        beside = [each.match for each in judged if each.piece.part > 0]
        beside += [m for each in others for m in self._held_in(each)]
        merged = merge(inside)
        found = findings_of((*matches, *inside), merged, self._rules)
        found += [_whole(each).finding("output") for each in beside if each.action != "allow"]
        rule = next((m.rule for m in (*matches, *inside) if m.rule and m.rule.by_model), None)
        if (
            rule is not None
            and refusal(self._turn, self._policy, found, self._kit.confirmations) is None
        ):
            return await self._rewritten(choice, text, rule, found)
        try:
            settle(self._turn, self._policy, "output", found, text, self._kit.confirmations)
        except ConfirmationRequired:
            raise
        except PolicyBlocked as refused:
            return self._refused(index, refused)
        edits = [each for each in merged if each.action in ("mask", "rewrite")]
        if not edits:
            return None
        return choice.with_text(_gone(text, edits))

    def _refused(self, index: int, refused: PolicyBlocked) -> list[Delta]:
        self._turn.blocked = refused.message
        return [
            Delta(index=index, text=refused.message),
            Delta(index=index, finish_reason="content_filter"),
        ]

    async def _rewritten(
        self, choice: _Choice, text: str, rule: Rule, found: list[Finding]
    ) -> list[Delta] | None:
        index = choice.deltas[0].index
        try:
            made = await rewritten(self._kit, rule, text)
            again, judged = await self._look(made, ())
            inside = [each.match for each in judged]
            found += [
                stopped(each) for each in findings_of((*again, *inside), merge(inside), self._rules)
            ]
        except HeadraceError as error:
            made = text
            found.append(
                fault(self._rules, "rewrite", 0, len(text), error, RAISED).finding("output")
            )
        try:
            settle(self._turn, self._policy, "output", found, text, self._kit.confirmations)
        except PolicyBlocked as refused:
            return self._refused(index, refused)
        return None if made == text else choice.with_text(made)

    async def _look(self, text: str, others: Sequence[str]) -> tuple[list[Match], list[Judged]]:
        """What keeps the text back, and what costly detectors find in it."""
        every = find_matches(text, 0, self._rules.detectors, self._rules)
        pieces = [
            Piece(each, self._rules, part=at)
            for at, each in enumerate((text, *others))
            if each.strip()
        ]
        judged = await judge(
            self._policy, "output", pieces, self._kit, doubted(every, self._policy)
        )
        return [each for each in every if each.holds], judged

    def _held_in(self, text: str) -> list[Match]:
        return [
            each for each in find_matches(text, 0, self._rules.holding, self._rules) if each.holds
        ]


def _noted(match: Match) -> Match:
    """A match behind a text that has left: whatever it is, it is only noted."""
    return msgspec.structs.replace(match, action="flag") if match.acts or match.holds else match


def _whole(match: Match) -> Match:
    """A match in what cannot be edited (arguments, chains of thought): the choice is stopped for it."""
    return (
        msgspec.structs.replace(match, action="block")
        if match.action in ("mask", "rewrite")
        else match
    )


def _gone(text: str, edits: Sequence[Match]) -> str:
    """The text with what is masked gone for good, as in any answer."""
    return edited(text, edits, MaskTable())
