"""Screening a text that is there as a whole: prompts, and strings inside tool-call arguments."""

from collections.abc import Callable

from headrace.screening.finding import Finding
from headrace.screening.masking import MaskTable
from headrace.screening.match import find_matches, merge
from headrace.screening.rule import SideRules

__all__ = ["screen_prompt"]


def screen_prompt(
    text: str,
    rules: SideRules,
    masks: MaskTable,
    findings: list[Finding],
    *,
    message: int | None = None,
    wrap: Callable[[str], str] = str,
) -> str:
    """The text with masked parts replaced by placeholders that `masks` can undo.

    Args:
        findings: what was found is added here; a `block` among it is for the caller to act on.
        message: index of the message, for the findings.
        wrap: applied to each placeholder (quotes, where it replaces a bare JSON number).
    """
    matches = find_matches(text, 0, (*rules.acting, *rules.noting), rules)
    if not matches:
        return text
    flags = [match for match in matches if match.action == "flag"]
    merged = merge(matches)
    findings.extend(
        match.finding(rules.side, message=message)
        for match in sorted((*flags, *merged), key=lambda each: (each.start, each.end, each.kind))
    )
    pieces: list[str] = []
    at = 0
    for match in merged:
        placeholder = masks.placeholder(match.kind, text[match.start : match.end])
        pieces += (text[at : match.start], wrap(placeholder))
        at = match.end
    return "".join((*pieces, text[at:]))
