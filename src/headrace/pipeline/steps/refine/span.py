"""Telling code from prose while an answer streams.

A span is `fence` (a fenced block with its fences), `inline` (inline code) or `prose`. What is
code follows CommonMark closely enough for answers; different on purpose: fences may stand behind
list markers, quote marks and any indentation, and inline code ends at the end of its line.
"""

import re
from typing import Literal, NamedTuple, Protocol, TypeAlias

from headrace.types import FinishReason

__all__ = ["Span", "SpanFilter", "SpanKind", "SpanReader"]

SpanKind: TypeAlias = Literal["prose", "inline", "fence"]


class Span(NamedTuple):
    """A piece of one kind. Where a text is cut into pieces of the same kind means nothing."""

    text: str
    kind: SpanKind


class SpanFilter(Protocol):
    """Rewrites spans as they stream; what comes out must not depend on how the text was cut."""

    def push(self, span: Span) -> list[Span]: ...

    def take(self, text: str, word: str) -> bool:
        """A quick `push` for what answers are mostly made of. False: `push` it.

        Args:
            text: prose: a word or its end, perhaps behind one space, or one punctuation mark.
            word: the letters in it; empty for a mark.

        Returns:
            Whether it passes just as it is.
        """
        ...

    def finish(self, reason: FinishReason | None) -> list[Span]:
        """What is still held back."""
        ...


# Indentation, list markers and quote marks before a fence, or the beginning of such.
_HEAD = re.compile(
    r"[ \t]{0,24}(?:(?:[-*+]|\d{1,3}[.)])[ \t]{1,8}|>[ \t]{0,8}){0,4}(?:\d{1,3}[.)]?|[-*+])?"
)
_RUN = re.compile(r"`+|~+")
_TICKS = re.compile(r"`+")
_LEAST_FENCE = 3


class SpanReader:
    """Cuts a stream into spans. Holds back line beginnings and runs of backticks, no more."""

    def __init__(self) -> None:
        self._held = ""
        self._line_start = True
        self._fence = ""
        """The fence that is open, as written; empty outside of fenced blocks."""
        self._info = False
        """Whether the opening line of the fence is still being read."""
        self._ticks = 0
        """Length of the backtick run that opened inline code; 0 outside."""

    @property
    def is_in_prose(self) -> bool:
        """Whether a piece without backticks and line ends is just prose."""
        return not (self._line_start or self._fence or self._ticks or self._held)

    @property
    def open_fence(self) -> str:
        """What would close the fenced block that is open; empty when none is."""
        return self._fence

    def push(self, text: str) -> list[Span]:
        text = self._held + text
        self._held = ""
        if not (self._line_start or self._fence or self._ticks or "`" in text or "\n" in text):
            return [Span(text, "prose")]
        return self._read(text, last=False)

    def finish(self) -> list[Span]:
        text, self._held = self._held, ""
        return self._read(text, last=True)

    def _read(self, text: str, *, last: bool) -> list[Span]:
        spans: list[Span] = []
        at = 0
        while at < len(text):
            if self._line_start:
                end = self._begin_line(text, at, spans, last=last)
            elif self._fence:
                end = self._in_fence(text, at, spans)
            elif self._ticks:
                end = self._in_ticks(text, at, spans, last=last)
            else:
                end = self._in_prose(text, at, spans, last=last)
            if end == at and not self._line_start and self._held:
                break
            if self._held:
                break
            at = end
        return spans

    def _begin_line(self, text: str, at: int, spans: list[Span], *, last: bool) -> int:
        head = _HEAD.match(text, at)
        begin = head.end() if head is not None else at
        run = _RUN.match(text, begin)
        end = run.end() if run is not None else begin
        if end == len(text) and not last:
            self._held = text[at:]
            return at
        self._line_start = False
        if run is None or len(run.group()) < _LEAST_FENCE:
            return at
        if not self._fence:
            self._fence, self._info = run.group(), True
        elif run.group().startswith(self._fence):
            rest = text[end:].lstrip(" \t")
            if not rest and not last:
                self._held, self._line_start = text[at:], True
                return at
            if rest[:1] in ("", "\n", "\r", "<"):
                self._fence = ""
        else:
            return at
        if begin > at:
            spans.append(Span(text[at:begin], "prose"))
        spans.append(Span(text[begin:end], "fence"))
        return end

    def _in_fence(self, text: str, at: int, spans: list[Span]) -> int:
        if self._info and self._fence[0] == "`":
            ticks = text.find("`", at)
            newline = text.find("\n", at)
            if ticks >= 0 and (newline < 0 or ticks < newline):
                # A backtick in the opening line: it was inline code after all. What came before
                # may have left as a fence, so it counts as one however the text was cut.
                self._ticks, self._fence, self._info = len(self._fence), "", False
                if ticks > at:
                    spans.append(Span(text[at:ticks], "fence"))
                return ticks
        newline = text.find("\n", at)
        end = len(text) if newline < 0 else newline + 1
        spans.append(Span(text[at:end], "fence"))
        if newline >= 0:
            self._info, self._line_start = False, True
        return end

    def _in_ticks(self, text: str, at: int, spans: list[Span], *, last: bool) -> int:
        newline = text.find("\n", at)
        end = len(text) if newline < 0 else newline
        for run in _TICKS.finditer(text, at, end):
            if run.end() == len(text) and not last:
                self._held = text[run.start() :]
                end = run.start()
                break
            if len(run.group()) == self._ticks:
                self._ticks = 0
                spans.append(Span(text[at : run.end()], "inline"))
                return run.end()
        if end > at:
            spans.append(Span(text[at:end], "inline"))
        if newline >= 0 and end == newline:
            self._ticks = 0
        return end

    def _in_prose(self, text: str, at: int, spans: list[Span], *, last: bool) -> int:
        ticks = text.find("`", at)
        newline = text.find("\n", at)
        if newline >= 0 and (ticks < 0 or newline < ticks):
            spans.append(Span(text[at : newline + 1], "prose"))
            self._line_start = True
            return newline + 1
        if ticks < 0:
            spans.append(Span(text[at:], "prose"))
            return len(text)
        if ticks > at:
            spans.append(Span(text[at:ticks], "prose"))
        run = _TICKS.match(text, ticks)
        end = run.end() if run is not None else ticks
        if end == len(text) and not last:
            self._held = text[ticks:]
            return ticks
        self._ticks = end - ticks
        spans.append(Span(text[ticks:end], "inline"))
        return end
