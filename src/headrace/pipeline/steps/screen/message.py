"""Screening messages: every text that the model gets to read, arguments of tool calls as JSON."""

from collections.abc import Callable, Iterator, Sequence

import msgspec

from headrace.screening.arguments import ScreenText, screen_arguments
from headrace.screening.finding import Finding
from headrace.screening.masking import MaskTable
from headrace.screening.match import Match
from headrace.screening.prompt import screen_prompt
from headrace.screening.rule import SideRules
from headrace.types import Message, ToolCall

__all__ = ["changed_texts", "screened", "texts_of"]


def screened(
    message: Message,
    rules: SideRules,
    masks: MaskTable,
    found: list[Finding],
    *,
    index: int | None = None,
    seen: list[Match] | None = None,
) -> Message:
    """The message with masks in place; what was found is added to `found` and `seen`."""

    def screen(text: str, *, wrap: Callable[[str], str] = str) -> str:
        return screen_prompt(text, rules, masks, found, message=index, wrap=wrap, seen=seen)

    def screen_name(text: str) -> str:
        # Providers take letters, digits, `_` and `-` for a name, so no brackets.
        return screen(text, wrap=lambda placeholder: placeholder.strip("<>"))

    changed = message.map_text(screen)
    return msgspec.structs.replace(
        changed,
        name=_changed(message.name, screen_name),
        refusal=_changed(message.refusal, screen),
        reasoning_content=_changed(message.reasoning_content, screen),
        tool_calls=message.tool_calls
        and [_with_arguments(call, screen) for call in message.tool_calls],
    )


def changed_texts(message: Message, texts: Sequence[str]) -> Message:
    """The message with its pieces of text replaced, in order."""
    left = iter(texts)
    return message.map_text(lambda _: next(left))


def texts_of(messages: Sequence[Message]) -> Iterator[str]:
    """Everything the model gets to read, so that no placeholder repeats what is there already."""
    for message in messages:
        yield message.text()
        yield from filter(None, (message.name, message.refusal, message.reasoning_content))
        for call in message.tool_calls or ():
            yield call.function.arguments


def _changed(text: str | None, change: Callable[[str], str]) -> str | None:
    return text and change(text)


def _with_arguments(call: ToolCall, screen: ScreenText) -> ToolCall:
    function = call.function
    arguments = screen_arguments(function.arguments, screen)
    return msgspec.structs.replace(
        call, function=msgspec.structs.replace(function, arguments=arguments)
    )
