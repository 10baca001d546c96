"""One side of a screen: the prompt. What is found in it, and what becomes of it before it is sent."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from headrace.errors import HeadraceError
from headrace.pipeline.pace import Pace
from headrace.pipeline.steps.screen.decision import confirmed_kinds, language_of
from headrace.pipeline.steps.screen.definition import definitions_of, look_at_definition
from headrace.pipeline.steps.screen.kit import Kit
from headrace.pipeline.steps.screen.message import changed_texts, screened, texts_of
from headrace.pipeline.steps.screen.residency import keep_within
from headrace.pipeline.steps.screen.rewrite import rewritten
from headrace.pipeline.steps.screen.verdict import Judged, Piece, doubted, judge
from headrace.pipeline.turn import Turn
from headrace.screening.finding import Finding, Span
from headrace.screening.injection.conversation import assess_conversation
from headrace.screening.match import RAISED, Match, fault, matched, merge
from headrace.screening.policy import Policy
from headrace.screening.prompt import edited, findings_of, screen_prompt
from headrace.screening.rule import Rule, SideRules, Whom
from headrace.types import Message, Role

__all__ = ["PromptScreen", "stopped", "whom_of"]

ESCALATION = "escalation"
"""The kind and the detector."""


def whom_of(turn: Turn, message: Role | None = None) -> Whom:
    """Who asks, as the conditions of rules see it."""
    return Whom(
        role=turn.principal.role,
        model=turn.model or "",
        language=language_of(turn),
        message=message,
    )


@dataclass(slots=True)
class PromptScreen:
    """The screening of one turn's prompt."""

    policy: Policy
    turn: Turn
    kit: Kit
    found: list[Finding] = field(default_factory=list)
    seen: list[Match] = field(default_factory=list)
    """Every match of a quick detector, those that the policy allows too."""
    judged: list[Finding] | None = None
    """What costly detectors found, once it has been acted on."""
    _rewrites: list[tuple[int, Rule]] = field(default_factory=list)
    _rules: dict[Role | None, SideRules] = field(default_factory=dict)

    async def look(self) -> None:
        """Run the quick detectors over every message; masks and replacements are in place after."""
        turn = self.turn
        turn.masks.reserve((*texts_of(turn.messages), *(turn.params.stop or ())))
        pace = Pace()
        messages = list(turn.messages)
        for index, message in enumerate(messages):
            await pace.rest()
            if message.role in self.policy.roles:
                messages[index] = self.message(message, index)
            else:
                floor = self.policy.floor
                screened(message, floor, turn.masks, self.found, index=index, seen=self.seen)
        turn.messages = messages
        if turn.params.stop:
            # What the model writes has placeholders, so that is what it must stop at.
            rules = self.rules(None)
            stop = [screen_prompt(each, rules, turn.masks, self.found) for each in turn.params.stop]
            turn.params = msgspec.structs.replace(turn.params, stop=stop)
        rules = self.rules("user") if "user" in self.policy.roles else self.policy.floor
        for where, text in definitions_of(turn.params):
            await pace.rest()
            look_at_definition(where, text, rules, self.found)
        self._keep_in_region()
        self._look_at_conversation()

    def _look_at_conversation(self) -> None:
        """What the turns show together, where a rule wants to know."""
        rules = self.rules("user")
        if ESCALATION not in rules.rules:
            return
        shown = assess_conversation(self.turn.received or self.turn.messages)
        if shown is None:
            return
        span = Span(ESCALATION, shown.start, shown.end, shown.score, note=shown.why)
        match = matched(
            rules,
            rules.rule(span, ""),
            span.start,
            span.end,
            ESCALATION,
            ESCALATION,
            span.score,
            span.note,
        )
        self.seen.append(match)
        if match.action != "allow":
            self.found.append(match.finding("input", message=len(self.turn.messages) - 1))

    def message(self, message: Message, index: int) -> Message:
        """One message with masks in place."""
        begin = len(self.seen)
        rules = self.rules(message.role)
        changed = screened(message, rules, self.turn.masks, self.found, index=index, seen=self.seen)
        rule = next((m.rule for m in self.seen[begin:] if m.rule and m.rule.by_model), None)
        if rule is not None:
            self._rewrites.append((index, rule))
        return changed

    def rules(self, role: Role | None) -> SideRules:
        """The rules for messages of a role."""
        found = self._rules.get(role)
        if found is None:
            found = self.policy.input
            if self.policy.is_conditional:
                found = self.policy.side("input", whom_of(self.turn, role))
            confirmed = confirmed_kinds(self.turn, self.policy, "input", self.kit.confirmations)
            if confirmed:
                found = found.with_confirmed(confirmed)
            self._rules[role] = found
        return found

    @property
    def wants_rewriting(self) -> bool:
        """Whether a rule wants a model to write a message anew."""
        return bool(self._rewrites)

    async def rewrite(self) -> None:
        """Have a model write those messages anew for which a rule wants that; look at them again."""
        turn = self.turn
        rewrites, self._rewrites = dict(self._rewrites), []
        for index, rule in rewrites.items():
            message = turn.messages[index]
            texts = _pieces_of(message)
            try:
                made = [await rewritten(self.kit, rule, each) for each in texts if each.strip()]
            except HeadraceError as error:
                self._note_fault(message, index, error)
                continue
            new = iter(made)
            whole = [next(new) if each.strip() else each for each in texts]
            again: list[Finding] = []
            seen: list[Match] = []
            turn.masks.reserve(made)
            turn.messages[index] = screened(
                changed_texts(message, whole),
                self.rules(message.role),
                turn.masks,
                again,
                index=index,
                seen=seen,
            )
            self.found += [stopped(each) for each in again]

    def pieces(self) -> list[Piece]:
        """What costly detectors look at: messages since the last answer, as the model gets them."""
        messages = self.turn.messages
        last = max((at for at, each in enumerate(messages) if each.role == "assistant"), default=-1)
        pieces: list[Piece] = []
        for index, message in enumerate(messages):
            if index <= last or message.role not in self.policy.roles:
                continue
            texts = _pieces_of(message)
            rules = self.rules(message.role)
            pieces += (
                Piece(text, rules, index, message.role, part)
                for part, text in enumerate(texts)
                if text.strip()
            )
        return pieces

    async def judge(self) -> list[Judged]:
        """What costly detectors say about it."""
        doubts = doubted(self.seen, self.policy)
        return await judge(self.policy, "input", self.pieces(), self.kit, doubts)

    def take(self, judged: Sequence[Judged]) -> list[Finding]:
        """The findings of costly detectors; what they mask or replace is in place after."""
        found: list[Finding] = []
        by_piece: dict[Piece, list[Match]] = {}
        for each in judged:
            by_piece.setdefault(each.piece, []).append(each.match)
        messages = self.turn.messages
        for piece, matches in by_piece.items():
            merged = merge(matches)
            rule = next((each.rule for each in matches if each.rule and each.rule.by_model), None)
            if rule is not None and piece.message is not None:
                self._rewrites.append((piece.message, rule))
            found += findings_of(matches, merged, piece.rules, message=piece.message)
            edits = [each for each in merged if each.action in ("mask", "rewrite")]
            if not edits or piece.message is None:
                continue
            message = messages[piece.message]
            texts = _pieces_of(message)
            texts[piece.part] = edited(piece.text, edits, self.turn.masks)
            messages[piece.message] = changed_texts(message, texts)
        return found

    def evidence(self) -> str:
        """What a person reads who has to decide: the messages in which something was found."""
        received = self.turn.received or self.turn.messages
        at = sorted({each.message for each in self.found if each.message is not None})
        shown = [received[each] for each in at if each < len(received)] or received[-1:]
        return "\n\n".join(f"{each.role}: {each.text()}" for each in shown)

    def _keep_in_region(self) -> None:
        residency = self.policy.file.residency
        if residency is None or self.kit.models is None:
            return
        kinds = {each.kind for each in self.seen} | {each.kind for each in self.found}
        if keep_within(self.turn, self.kit.models, residency, kinds):
            return
        rules = self.rules("user")
        (rule, *_) = (*rules.rules.get("residency", ()), Rule(action="block"))
        action = rule.action
        note = ""
        if rules.observes:
            action, note = "flag", f"would {action}"
        elif action == "ask" and "residency" in rules.confirmed:
            action, note = "flag", "confirmed"
        self.found.append(
            Finding(
                kind="residency",
                detector="residency",
                side="input",
                action=action,
                start=0,
                end=0,
                note=note,
            )
        )

    def _note_fault(self, message: Message, index: int, error: HeadraceError) -> None:
        rules = self.rules(message.role)
        failed = fault(rules, "rewrite", 0, len(message.text()), error, RAISED)
        self.found.append(failed.finding("input", message=index))


def stopped(finding: Finding) -> Finding:
    """What a model's rewriting has left in: where it would be kept back again, it is stopped."""
    if finding.action in ("ask", "escalate", "rewrite"):
        return msgspec.structs.replace(finding, action="block", note="after rewriting")
    return finding


def _pieces_of(message: Message) -> list[str]:
    """The message's texts, in order."""
    texts: list[str] = []

    def note(text: str) -> str:
        texts.append(text)
        return text

    message.map_text(note)
    return texts
