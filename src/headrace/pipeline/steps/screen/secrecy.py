"""Keeps the system prompt in: the canary token that goes into it, and the filter that looks for both
in the answer."""

from collections.abc import Callable

import msgspec

from headrace.errors import PolicyBlocked
from headrace.pipeline.step import TextFilter
from headrace.pipeline.turn import Turn
from headrace.screening.finding import Span
from headrace.screening.injection.leak import CANARY_NOTE, Decision, Leak, LeakFilter, secret_of
from headrace.screening.match import matched
from headrace.screening.rule import SideRules
from headrace.types import FinishReason, Message

__all__ = ["KIND", "add_canary", "guarded"]

KIND = "system_prompt_leak"
_DETECTOR = "system_prompt_leak"
_CANARY = "screen.canary"
_ROLES = ("system", "developer")


class Guarded:
    """A filter behind the one that looks for the system prompt."""

    def __init__(self, leak: LeakFilter, inner: TextFilter | None) -> None:
        self._leak = leak
        self._inner = inner

    def push(self, text: str) -> str:
        text = self._leak.push(text)
        return self._inner.push(text) if self._inner is not None else text

    def finish(self, reason: FinishReason | None) -> str:
        rest = self._leak.finish(reason)
        if self._inner is None:
            return rest
        return self._inner.push(rest) + self._inner.finish(reason)


def add_canary(turn: Turn, canary: str) -> None:
    """Put the token into the turn's first system message; a turn without one has no secret."""
    for index, message in enumerate(turn.messages):
        if message.role in _ROLES and isinstance(message.content, str):
            note = CANARY_NOTE.format(canary=canary)
            turn.messages[index] = msgspec.structs.replace(
                message, content=f"{message.content}\n\n{note}"
            )
            turn.state[_CANARY] = canary
            return


def guarded(
    turn: Turn, rules: SideRules, inner: TextFilter | None, stop: Callable[[], PolicyBlocked]
) -> TextFilter | None:
    """The filter, with one in front that looks for the turn's system prompt, where there is one and a
    rule for it."""
    prompt = "\n".join(each.text() for each in turn.messages if each.role in _ROLES)
    if not prompt.strip() or KIND not in rules.rules:
        return inner
    canary = turn.state.get(_CANARY, "")
    assert isinstance(canary, str)
    secret = secret_of(prompt, canary, ours=not _came_from_client(turn.received, prompt))

    def decide(leak: Leak) -> Decision:
        span = Span(KIND, leak.start, leak.end, leak.score, note=leak.why)
        match = matched(
            rules, rules.rule(span, ""), leak.start, leak.end, KIND, _DETECTOR, leak.score, leak.why
        )
        if match.action == "allow":
            return "pass"
        turn.findings.append(match.finding("output"))
        if match.is_noted:
            return "pass"
        return "mask" if match.action == "mask" else "block"

    return Guarded(LeakFilter(secret, decide, stop), inner)


def _came_from_client(received: list[Message], prompt: str) -> bool:
    """Whether all of the prompt is what the client sent."""
    sent = "\n".join(each.text() for each in received if each.role in _ROLES)
    return bool(sent) and len(sent) >= 0.8 * len(prompt)
