"""Screens what goes to the model, and what comes back.

Before `generate` it masks, flags or refuses the messages; after it, the answer as it streams.
What was masked in the prompt is put back by the last screen of the pipeline.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Self

import msgspec

from headrace.errors import PolicyBlocked
from headrace.pipeline.pace import Pace
from headrace.pipeline.step import BuildContext, Channel, Settings, Step, TextFilter
from headrace.pipeline.turn import Turn
from headrace.screening.answer import AnswerScreen
from headrace.screening.arguments import ArgumentsScreen, ScreenText, screen_arguments
from headrace.screening.finding import Action, Finding, Side
from headrace.screening.match import find_matches
from headrace.screening.policy import Policy
from headrace.screening.prompt import screen_prompt
from headrace.screening.rule import NO_RULES
from headrace.types import Message, ToolCall

__all__ = ["ScreenSettings", "ScreenStep"]

_HAN = re.compile(r"[\u3400-\u9fff]")
_BRACKET = re.compile(r"[<\[&＜〈《【［]")
"""Every placeholder has one in front."""
_WITHHELD = "[The result was withheld: the service's policy does not allow it here.]"
_ORDER: tuple[Action, ...] = ("flag", "mask", "block")


class ScreenSettings(Settings, frozen=True, kw_only=True):
    """Settings of `screen`."""

    policy: str = "default"
    """The policy, by the name of its file in `policies/`."""


class ScreenStep(Step[ScreenSettings]):
    """Applies one policy to one side of the model."""

    name = "screen"
    Settings = ScreenSettings

    def __init__(
        self, settings: ScreenSettings, policy: Policy, *, side: Side, restores: bool
    ) -> None:
        super().__init__(settings)
        self._policy = policy
        self._side: Side = side
        self._rules = policy.input if side == "input" else policy.output
        self._restores = restores

    @classmethod
    def build(cls, settings: ScreenSettings, context: BuildContext) -> Self:
        policy = context.policies.get(settings.policy)
        behind = list(context.later)
        if context.before_generate and "generate" in behind:
            behind = behind[behind.index("generate") :]
        return cls(
            settings,
            policy,
            side="input" if context.before_generate else "output",
            restores=cls.name not in behind,
        )

    def digest_inputs(self) -> object:
        return {"policy": self._policy.name, "digest": self._policy.digest}

    async def prepare(self, turn: Turn) -> None:
        """Screen every message; raises PolicyBlocked with the policy's words."""
        turn.masks.reserve((*_texts(turn.messages), *(turn.params.stop or ())))
        if not self._policy.caches:
            turn.cache_control = "no-store"
        found: list[Finding] = []
        pace = Pace()
        messages = list(turn.messages)
        for index, message in enumerate(messages):
            if message.role in self._policy.roles:
                await pace.rest()
                messages[index] = self._screened(message, index, turn, found)
        turn.messages = messages
        if turn.params.stop:
            # What the model writes has placeholders, so that is what it must stop at.
            stop = [self._screened_text(each, turn, found) for each in turn.params.stop]
            turn.params = msgspec.structs.replace(turn.params, stop=stop)
        turn.findings.extend(found)
        self._summarise(turn)
        if any(finding.action == "block" for finding in found):
            raise self._refusal(turn)

    async def prepare_result(self, turn: Turn, message: Message) -> Message:
        """Screen what a tool gave. What the policy refuses is withheld from the model."""
        found: list[Finding] = []
        turn.masks.reserve(_texts([message]))
        screened = self._screened(message, len(turn.messages), turn, found)
        turn.findings.extend(found)
        if any(finding.action == "block" for finding in found):
            return msgspec.structs.replace(message, content=_WITHHELD)
        return screened

    def filter(self, turn: Turn, channel: Channel, index: int) -> TextFilter | None:
        del index
        rules = self._rules if self._side == "output" else NO_RULES
        if not (rules.acting or rules.noting or (self._restores and turn.masks)):
            return None

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

        return ArgumentsScreen(screen_whole) if channel == "arguments" else screen()

    async def complete(self, turn: Turn) -> None:
        if self._side == "output":
            self._summarise(turn)

    def _screened(self, message: Message, index: int, turn: Turn, found: list[Finding]) -> Message:
        def screen(text: str, *, wrap: Callable[[str], str] = str) -> str:
            return screen_prompt(text, self._rules, turn.masks, found, message=index, wrap=wrap)

        def screen_name(text: str) -> str:
            # Providers take letters, digits, `_` and `-` for a name, so no brackets.
            return screen(text, wrap=lambda placeholder: placeholder.strip("<>"))

        screened = message.map_text(screen)
        return msgspec.structs.replace(
            screened,
            name=_changed(message.name, screen_name),
            refusal=_changed(message.refusal, screen),
            reasoning_content=_changed(message.reasoning_content, screen),
            tool_calls=message.tool_calls
            and [_with_arguments(call, screen) for call in message.tool_calls],
        )

    def _screened_text(self, text: str, turn: Turn, found: list[Finding]) -> str:
        return screen_prompt(text, self._rules, turn.masks, found)

    def _summarise(self, turn: Turn) -> None:
        """What this side found, for the span: the count of each kind, and the strongest action."""
        found = [each for each in turn.findings if each.side == self._side]
        actions = {each.action for each in found}
        result = next((action for action in reversed(_ORDER) if action in actions), "pass")
        turn.state[self.name] = {**Counter(each.kind for each in found), "result": result}

    def _refusal(self, turn: Turn) -> PolicyBlocked:
        return PolicyBlocked(
            self._policy.message(turn.language or _guess_language(turn)),
            hint="rephrase the request; what the policy stops is up to who runs this service",
        )


def _changed(text: str | None, change: Callable[[str], str]) -> str | None:
    return text and change(text)


def _with_arguments(call: ToolCall, screen: ScreenText) -> ToolCall:
    function = call.function
    arguments = screen_arguments(function.arguments, screen)
    return msgspec.structs.replace(
        call, function=msgspec.structs.replace(function, arguments=arguments)
    )


def _texts(messages: Sequence[Message]) -> Iterator[str]:
    """Everything the model gets to read, so that no placeholder repeats what is there already."""
    for message in messages:
        yield message.text()
        yield from filter(None, (message.name, message.refusal, message.reasoning_content))
        for call in message.tool_calls or ():
            yield call.function.arguments


def _guess_language(turn: Turn) -> str:
    return "zh" if _HAN.search(turn.question) else "en"
