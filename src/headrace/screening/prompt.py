"""Screening a text that is there as a whole: prompts, and strings inside tool-call arguments."""

from collections.abc import Callable, Iterable, Sequence

from headrace.screening.finding import Finding
from headrace.screening.masking import MaskTable
from headrace.screening.match import Match, find_matches, merge
from headrace.screening.rule import SideRules

__all__ = ["edited", "findings_of", "screen_prompt"]


def screen_prompt(
    text: str,
    rules: SideRules,
    masks: MaskTable,
    findings: list[Finding],
    *,
    message: int | None = None,
    wrap: Callable[[str], str] = str,
    seen: list[Match] | None = None,
) -> str:
    """The text with masked parts replaced by placeholders that `masks` can undo.

    What a rule blocks or keeps back is for the caller to act on; the text says it as it was.

    Args:
        findings: what was found is added here.
        message: index of the message, for the findings.
        wrap: applied to what stands in the place of a match (quotes, for a bare JSON number).
        seen: every match is added here, those that the policy allows too.
    """
    matches = find_matches(text, 0, rules.detectors, rules)
    if not matches:
        return text
    if seen is not None:
        seen.extend(matches)
    merged = merge(matches)
    findings.extend(findings_of(matches, merged, rules, message=message))
    return edited(text, merged, masks, wrap)


def edited(
    text: str, merged: Sequence[Match], masks: MaskTable, wrap: Callable[[str], str] = str
) -> str:
    """The text with each match replaced by its placeholder, or by its rule's replacement."""
    pieces: list[str] = []
    at = 0
    for match in merged:
        if match.action == "rewrite" and match.rule is not None:
            put = match.rule.replacement or ""
        else:
            put = masks.placeholder(match.kind, text[match.start : match.end])
        pieces += (text[at : match.start], wrap(put))
        at = match.end
    return "".join((*pieces, text[at:]))


def findings_of(
    matches: Iterable[Match],
    merged: Sequence[Match],
    rules: SideRules,
    *,
    message: int | None = None,
) -> list[Finding]:
    """What goes into the trace, in order of the text: what acts made one, everything else as it is."""
    others = (each for each in matches if each.is_noted or each.holds)
    return [
        match.finding(rules.side, message=message)
        for match in sorted((*others, *merged), key=lambda each: (each.start, each.end, each.kind))
    ]
