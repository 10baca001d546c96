"""Screens what goes to the model, and what comes back.

Before `generate` it masks, flags, asks about or refuses the messages; after it, the answer as it
streams. What was masked in the prompt is put back by the last screen of the pipeline.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Self

import msgspec

from headrace.errors import PolicyBlocked
from headrace.pipeline.step import BuildContext, Channel, Settings, Step, TextFilter
from headrace.pipeline.steps.screen.decision import (
    confirmed_kinds,
    disclaimers_of,
    language_of,
    renote,
    settle,
)
from headrace.pipeline.steps.screen.disclaimer import WithDisclaimers
from headrace.pipeline.steps.screen.hold import HeldAnswer
from headrace.pipeline.steps.screen.kit import Kit
from headrace.pipeline.steps.screen.message import texts_of
from headrace.pipeline.steps.screen.prompt import PromptScreen, stopped, whom_of
from headrace.pipeline.steps.screen.secrecy import add_canary, guarded
from headrace.pipeline.turn import Turn
from headrace.screening.answer import AnswerScreen
from headrace.screening.arguments import ArgumentsScreen
from headrace.screening.finding import STRENGTH, CostlyDetector, Finding, Side
from headrace.screening.injection.leak import new_canary
from headrace.screening.match import find_matches
from headrace.screening.policy import Policy
from headrace.screening.rule import NO_RULES, SideRules
from headrace.screening.worker import DetectorFailed
from headrace.types import Deltas, Message

__all__ = ["ScreenSettings", "ScreenStep"]

_BRACKET = re.compile(r"[<\[&＜〈《【［]")
"""Every placeholder has one in front."""
_WITHHELD = "[The result was withheld: the service's policy does not allow it here.]"


class ScreenSettings(Settings, frozen=True, kw_only=True):
    """Settings of `screen`."""

    policy: str = "default"
    """The policy, by the name of its file in `policies/`."""
    canary: bool = False
    """Before `generate`: whether a token goes into the system prompt, another at each start, that gives
    away an answer which repeats it (`system_prompt_leak`)."""


class ScreenStep(Step[ScreenSettings]):
    """Applies one policy to one side of the model."""

    name = "screen"
    Settings = ScreenSettings

    def __init__(
        self,
        settings: ScreenSettings,
        policy: Policy,
        *,
        side: Side,
        restores: bool,
        kit: Kit | None = None,
    ) -> None:
        """
        Args:
            kit: the service's models; None: there are none, so costly detectors are unavailable.
        """
        super().__init__(settings)
        self._policy = policy
        self._side: Side = side
        self._restores = restores
        self._kit = kit or Kit()
        self._canary = new_canary() if settings.canary and side == "input" else ""
        self._costly = policy.costly_for(side)
        self._task = f"screen.verdict.{policy.name}"
        """Where the turn's state has what costly detectors are still looking for."""
        self._may_disclaim = any(
            rule.action == "disclaimer"
            for rules in policy.rules.values()
            for kind in rules.values()
            for rule in kind
        )

    @classmethod
    def build(cls, settings: ScreenSettings, context: BuildContext) -> Self:
        policy = context.policies.get(settings.policy)
        for side in policy.rules.values():
            for rules in side.values():
                for rule in rules:
                    if rule.model is not None:
                        context.models.get(rule.model)
        behind = list(context.later)
        if context.before_generate and "generate" in behind:
            behind = behind[behind.index("generate") :]
        return cls(
            settings,
            policy,
            side="input" if context.before_generate else "output",
            restores=cls.name not in behind,
            kit=Kit(
                models=context.models,
                embedder=context.embedder,
                has_tools=context.toolbox is not None,
            ),
        )

    def digest_inputs(self) -> object:
        return {"policy": self._policy.name, "digest": self._policy.digest}

    async def start(self, home: Path) -> None:
        self._kit.confirmations.open(home)
        for use in self._costly:
            if not isinstance(use.detector, CostlyDetector):
                # A process takes a second to begin, which no turn's budget should pay for.
                with suppress(DetectorFailed):
                    await self._kit.worker(use.detector.name).detect("")

    async def prepare(self, turn: Turn) -> None:
        """Screen every message; raises PolicyBlocked with the policy's words."""
        if not self._policy.caches:
            turn.cache_control = "no-store"
        screen = PromptScreen(self._policy, turn, self._kit)
        await screen.look()
        if screen.wants_rewriting and not _is_stopped(screen.found):
            await screen.rewrite()
        try:
            self._settle(turn, screen.found, screen.evidence() if screen.found else "")
            if self._costly:
                await self._ask_costly(turn, screen)
        finally:
            self._summarise(turn)
        if self._canary:
            add_canary(turn, self._canary)

    async def prepare_result(self, turn: Turn, message: Message) -> Message:
        """Screen what a tool gave. What the policy refuses is withheld from the model."""
        found: list[Finding] = []
        turn.masks.reserve(texts_of([message]))
        screen = PromptScreen(self._policy, turn, self._kit, found=found)
        changed = screen.message(message, len(turn.messages))
        turn.findings.extend(found)
        # Nobody is there to confirm, to decide, or to write it anew: what would wait is withheld.
        if _is_stopped(found) or screen.wants_rewriting:
            return msgspec.structs.replace(message, content=_WITHHELD)
        return changed

    def filter(self, turn: Turn, channel: Channel, index: int) -> TextFilter | None:
        del index
        rules = self._rules_for_answer(turn)
        inner = self._filter(turn, channel, rules)
        if channel in ("text", "reasoning") and self._side == "output":
            return guarded(turn, rules, inner, lambda: self._refusal(turn))
        return inner

    def _filter(self, turn: Turn, channel: Channel, rules: SideRules) -> TextFilter | None:
        disclaims = channel == "text" and self._disclaims(turn)
        if not (rules.acting or rules.noting or (self._restores and turn.masks)):
            return WithDisclaimers(None, lambda: disclaimers_of(turn)) if disclaims else None

        def screen(wrap: Callable[[str], str] = str) -> AnswerScreen:
            return AnswerScreen(
                rules,
                turn.masks,
                turn.findings,
                lambda: self._refusal(turn),
                restore=self._restores,
                wrap=wrap,
            )

        detectors = (*rules.acting, *rules.noting)

        def screen_whole(text: str, *, wrap: Callable[[str], str]) -> str:
            # Most strings are keys and plain words: one look each, for there may be thousands.
            if not (turn.masks and _BRACKET.search(text)) and not find_matches(
                text, 0, detectors, rules
            ):
                return text
            whole = screen(wrap)
            return whole.push(text) + whole.finish("stop")

        if channel == "arguments":
            return ArgumentsScreen(screen_whole)
        answer = screen()
        if not disclaims:
            return answer

        def due() -> list[str]:
            language = language_of(turn)
            own = [self._policy.disclaimer(kind, language) for kind in answer.disclaimed]
            return list(dict.fromkeys((*(disclaimers_of(turn) if self._restores else ()), *own)))

        return WithDisclaimers(answer, due)

    def transform(self, turn: Turn, deltas: Deltas) -> Deltas:
        """Wait for costly detectors, or keep the answer back, where the policy needs that."""
        if self._side == "input":
            return self._awaited(turn, deltas) if self._task in turn.state else deltas
        rules = self._rules_for_answer(turn)
        held = HeldAnswer(self._policy, rules, turn, self._kit)
        if rules.holding or self._costly_acts():
            return held.over(deltas)
        return held.note(deltas) if self._costly else deltas

    async def complete(self, turn: Turn) -> None:
        if self._side == "output":
            self._summarise(turn)

    def ended(self, turn: Turn) -> None:
        task = turn.state.get(self._task)
        if isinstance(task, asyncio.Task):
            task.cancel()

    async def _ask_costly(self, turn: Turn, screen: PromptScreen) -> None:
        """Ask costly detectors about the prompt: now, or while the model begins."""
        waits = (
            self._kit.has_tools or self._policy.file.overlap is False or self._costly_edits()
        ) and not self._policy.observes
        task = asyncio.ensure_future(screen.judge())
        if not waits:
            turn.state[self._task] = task
            turn.state[f"{self._task}.screen"] = screen
            return
        try:
            found = screen.take(await task)
        finally:
            task.cancel()
        if screen.wants_rewriting and not _is_stopped(found):
            begin = len(screen.found)
            await screen.rewrite()
            found += screen.found[begin:]
            found += [stopped(each) for each in screen.take(await screen.judge())]
        self._settle(turn, found, screen.evidence())

    async def _awaited(self, turn: Turn, deltas: Deltas) -> Deltas:
        """The answer, its first piece held until costly detectors have said what they found."""
        task = turn.state[self._task]
        screen = turn.state[f"{self._task}.screen"]
        assert isinstance(task, asyncio.Task)
        assert isinstance(screen, PromptScreen)
        async with aclosing(deltas) as upstream:
            first = asyncio.ensure_future(anext(upstream, None))
            try:
                judged = await task
                if screen.judged is None:
                    screen.judged = screen.take(judged)
                    self._settle(turn, screen.judged, screen.evidence())
                else:
                    renote(turn, self._policy, screen.judged)
                delta = await first
            finally:
                if not first.done():
                    first.cancel()
                    with suppress(asyncio.CancelledError):
                        await first
                elif not first.cancelled():
                    first.exception()
            while delta is not None:
                yield delta
                delta = await anext(upstream, None)

    def _settle(self, turn: Turn, found: list[Finding], text: str) -> None:
        settle(turn, self._policy, self._side, found, text, self._kit.confirmations)

    def _rules_for_answer(self, turn: Turn) -> SideRules:
        if self._side == "input":
            return NO_RULES
        rules = self._policy.output
        if self._policy.is_conditional:
            rules = self._policy.side("output", whom_of(turn))
        if rules.holding:
            confirmed = confirmed_kinds(turn, self._policy, "output", self._kit.confirmations)
            return rules.with_confirmed(confirmed) if confirmed else rules
        return rules

    def _disclaims(self, turn: Turn) -> bool:
        """Whether this filter may have to put something behind the answer."""
        wanted = turn.params.response_format or turn.template_params.response_format or {}
        if wanted.get("type") not in (None, "text"):
            return False  # JSON with words behind it is no JSON
        return (self._side == "output" and self._may_disclaim) or (
            self._restores and bool(turn.state.get("screen.disclaimers"))
        )

    def _costly_rules(self) -> list[str]:
        kinds = {kind for each in self._costly for kind in each.detector.kinds}
        return [
            rule.action if rule.acts or rule.holds else ""
            for kind in kinds
            for rule in self._policy.rules[self._side].get(kind, ())
        ]

    def _costly_acts(self) -> bool:
        """Whether an answer must wait for costly detectors."""
        return not self._policy.observes and any(self._costly_rules())

    def _costly_edits(self) -> bool:
        """Whether costly detectors may change the prompt."""
        return bool({"mask", "rewrite"} & set(self._costly_rules()))

    def _summarise(self, turn: Turn) -> None:
        """What this side found, for the span: the count of each kind, and the strongest action."""
        found = [each for each in turn.findings if each.side == self._side]
        result = max((each.action for each in found), key=STRENGTH.__getitem__, default="pass")
        turn.state[self.name] = {
            **Counter(each.kind for each in found),
            "policy": self._policy.version,
            "result": result,
        }

    def _refusal(self, turn: Turn) -> PolicyBlocked:
        """The words for the block that was met last."""
        blocks = (each for each in reversed(turn.findings) if each.action == "block")
        kind = next((each.kind for each in blocks if each.side == "output"), "")
        return PolicyBlocked(
            self._policy.message(language_of(turn), kind),
            hint="rephrase the request; what the policy stops is up to who runs this service",
        )


def _is_stopped(found: list[Finding]) -> bool:
    """Whether something of it refuses the text, or would wait for somebody."""
    return any(
        each.action in ("block", "ask") or (each.action == "escalate" and each.note != "sent")
        for each in found
    )
