"""Rules: conditions on a request, decided in microseconds and without a model."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from headrace.errors import InvalidRequest
from headrace.prompts.choice.settings import RuleSettings

__all__ = ["Asked", "Rules"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What rules look at."""

    text: str
    """The user's last message."""
    language: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    variables: Collection[str] = ()
    has_tools: bool = False
    has_attachments: bool = False


class Rules:
    """Rules in their order, ready to use."""

    def __init__(self, rules: Sequence[RuleSettings]) -> None:
        """Raises InvalidRequest for one that cannot be meant."""
        self._rules = [(rule, _pattern(at, rule)) for at, rule in enumerate(rules, 1)]

    def first(self, asked: Asked) -> tuple[int, str] | None:
        """The first rule that holds, counted from 1, and its template."""
        for at, (rule, pattern) in enumerate(self._rules, 1):
            if _words_hold(rule, pattern, asked) and _rest_holds(rule, asked):
                return at, rule.template
        return None


def _pattern(at: int, rule: RuleSettings) -> re.Pattern[str] | None:
    if rule == RuleSettings(template=rule.template):
        raise InvalidRequest(
            f"choose: rule {at} holds for every request",
            hint="give it a condition, or make its template the step's `name`",
        )
    if rule.matches is None:
        return None
    try:
        return re.compile(rule.matches)
    except re.error as error:
        raise InvalidRequest(
            f"choose: rule {at}: `matches` is not a regular expression: {error}"
        ) from None


def _words_hold(rule: RuleSettings, pattern: re.Pattern[str] | None, asked: Asked) -> bool:
    if rule.min_chars is not None and len(asked.text) < rule.min_chars:
        return False
    if rule.max_chars is not None and len(asked.text) > rule.max_chars:
        return False
    if pattern is not None and pattern.search(asked.text) is None:
        return False
    folded = asked.text.casefold()
    return not rule.any_of or any(each.casefold() in folded for each in rule.any_of)


def _rest_holds(rule: RuleSettings, asked: Asked) -> bool:
    base = (asked.language or "").partition("-")[0]
    return (
        (not rule.languages or asked.language in rule.languages or base in rule.languages)
        and all(asked.metadata.get(key) == value for key, value in rule.metadata.items())
        and all(name in asked.variables for name in rule.variables)
        and rule.tools in (None, asked.has_tools)
        and rule.attachments in (None, asked.has_attachments)
    )
