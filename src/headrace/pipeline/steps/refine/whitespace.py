"""Whitespace of an answer: none at its edges, none at line ends, at most two blank lines.

Markdown's hard break (two spaces before a newline), indentation, and everything inside code stay.
"""

import re

from headrace.pipeline.steps.refine.span import Span, SpanKind
from headrace.pipeline.steps.refine.tally import Tally
from headrace.types import FinishReason

__all__ = ["TidyWhitespace"]

_WHITESPACE = " \t\r\n"
_MOST_NEWLINES = 3
# A run is tried at its beginning only: endless spaces would cost their square otherwise.
_RUN = re.compile(r"(?<![ \t])[ \t]*+[\r\n][ \t\r\n]*+")
_CODE_INDENT = re.compile(r" {4}|\t| {1,3}\t")


class TidyWhitespace:
    """Holds back whitespace until something follows it."""

    def __init__(self, tally: Tally, *, edges: bool) -> None:
        self._tally = tally
        self._edges = edges
        self._said = not edges
        self._held: list[str] = []
        self._kind: SpanKind = "prose"

    def push(self, span: Span) -> list[Span]:
        out: list[Span] = []
        if span.kind != self._kind:
            self._flush(out)
            self._kind = span.kind
        body = span.text.rstrip(_WHITESPACE)
        rest = span.text[len(body) :]
        if not body:
            self._held.append(rest)
            return out
        body = "".join(self._held) + body
        self._held = [rest] if rest else []
        if not self._said:
            body = self._begin(body)
            self._said = True
        if span.kind == "prose":
            body = _RUN.sub(self._tidy, body)
        out.append(Span(body, span.kind))
        return out

    def take(self, text: str, word: str) -> bool:
        return self._said and not self._held and self._kind == "prose"

    def finish(self, reason: FinishReason | None) -> list[Span]:
        if self._edges:
            if self._held:
                self._tally.count("whitespace")
            return []
        return [Span("".join(self._held), self._kind)] if self._held else []

    def _flush(self, out: list[Span]) -> None:
        """What was held is followed by text of another kind."""
        held, self._held = "".join(self._held), []
        if not held or (not self._said and self._edges):
            return
        if self._kind == "prose":
            held = _RUN.sub(self._tidy, held)
        out.append(Span(held, self._kind))

    def _begin(self, body: str) -> str:
        """The answer's first text: blank lines go, and indentation unless it makes code."""
        stripped = body.lstrip(_WHITESPACE)
        lead = body[: len(body) - len(stripped)]
        if lead:
            self._tally.count("whitespace")
        indent = lead[max(lead.rfind("\n"), lead.rfind("\r")) + 1 :]
        return (indent if "\n" in lead and _CODE_INDENT.match(indent) else "") + stripped

    def _tidy(self, match: re.Match[str]) -> str:
        run = match.group()
        lead = run[: len(run) - len(run.lstrip(" \t"))]
        indent = run[max(run.rfind("\n"), run.rfind("\r")) + 1 :]
        newlines = run.count("\n") or 1
        hard_break = "  " if len(lead) >= 2 and newlines == 1 else ""
        tidied = hard_break + "\n" * min(newlines, _MOST_NEWLINES) + indent
        if tidied != run:
            self._tally.count("whitespace")
        return tidied
