"""What a request defines beside its messages: tools, the form of the answer, fields passed through.

The model reads their descriptions, so an order may hide there as well as in a message. They are the
caller's program, not a person's words: nothing in them is masked, and personal data in them stays.
Names and labels of one word are no text. What the service itself defines is not looked at.
"""

import re
from collections.abc import Iterator

import msgspec

from headrace.screening.content.kind import FLOOR_KIND
from headrace.screening.finding import Finding
from headrace.screening.match import Match, find_matches
from headrace.screening.rule import SideRules
from headrace.types import Params

__all__ = ["definitions_of", "look_at_definition"]

_LABEL = re.compile(r"[A-Za-z0-9_./:#$\-]{0,40}")
"""`sexual/minors` in the list of a tool that sorts texts is no text about it."""
_LOOKED_FOR = frozenset({FLOOR_KIND, "injection"})


_PIECE = 2000
"""Characters judged together: the more there are, the more of what an injection has comes together by
chance."""


def definitions_of(params: Params) -> Iterator[tuple[str, str]]:
    """Where each stands, and its text, a line for each string, in pieces."""
    given: list[tuple[str, object]] = [
        (f"tools[{index}]", tool) for index, tool in enumerate(params.tools or ())
    ]
    given.append(("response_format", params.response_format))
    given += params.extra.items()
    for where, value in given:
        lines: list[str] = []
        size = 0
        for line in _strings(value):
            if _LABEL.fullmatch(line):
                continue
            if lines and size + len(line) > _PIECE:
                yield where, "\n".join(lines)
                lines, size = [], 0
            lines.append(line)
            size += len(line) + 1
        if lines:
            yield where, "\n".join(lines)


def look_at_definition(where: str, text: str, rules: SideRules, found: list[Finding]) -> None:
    """Add what is found. Nothing is edited, so what a rule would edit is refused."""
    wanted = [each for each in rules.detectors if not _LOOKED_FOR.isdisjoint(each.kinds)]
    for match in find_matches(text, 0, wanted, rules):
        if match.action == "allow":
            continue
        finding = _unedited(match).finding(rules.side)
        # Of an escalation, the note says whether somebody waits for it.
        note = finding.note if match.action == "escalate" else f"in {where}; {finding.note}"
        found.append(msgspec.structs.replace(finding, note=note.removesuffix("; ")))


def _unedited(match: Match) -> Match:
    if match.action not in ("mask", "rewrite"):
        return match
    return msgspec.structs.replace(match, action="block")


def _strings(value: object) -> Iterator[str]:
    """Every string, names of fields too, in order; without recursion, for it may be deep."""
    left = [value]
    while left:
        each = left.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, dict):
            for name, inner in reversed(each.items()):
                left += (inner, name)
        elif isinstance(each, list):
            left.extend(reversed(each))
