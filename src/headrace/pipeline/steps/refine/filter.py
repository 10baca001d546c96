"""The filters of one answer, one after the other, over its spans."""

import re
from collections.abc import Sequence

from headrace.pipeline.steps.refine.span import Span, SpanFilter, SpanReader
from headrace.pipeline.steps.refine.tally import Tally
from headrace.types import FinishReason

__all__ = ["RefineFilter"]


_PIECE = re.compile(
    r" ?([A-Za-z0-9\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u00ff]{1,60})|[,.;:!?()'\"’“”/%+=$#&@\]-]"
)
"""What most tokens are: a word, the end of one, or a punctuation mark."""


class RefineFilter:
    """A `TextFilter` made of span filters; closes a fenced block that was left open."""

    def __init__(self, tally: Tally, filters: Sequence[SpanFilter]) -> None:
        self._tally = tally
        self._filters = filters
        self._reader = SpanReader()
        self._at_line_start = True

    def push(self, text: str) -> str:
        if self._tally.ended:
            return ""
        piece = _PIECE.fullmatch(text)
        if piece is None or not self._reader.is_in_prose:
            return self._through(self._reader.push(text), self._filters)
        word = piece[1] or ""
        for at, each in enumerate(self._filters):
            if not each.take(text, word):
                return self._through([Span(text, "prose")], self._filters[at:])
        self._at_line_start = False
        return text

    def finish(self, reason: FinishReason | None) -> str:
        out = ""
        if not self._tally.ended:
            out = self._through(self._reader.finish(), self._filters)
        for at, each in enumerate(self._filters):
            out += self._through(each.finish(reason), self._filters[at + 1 :])
        fence = self._reader.open_fence
        if fence and not self._tally.ended:
            self._tally.count("fences")
            out += ("" if self._at_line_start else "\n") + fence
        return out

    def _through(self, spans: list[Span], filters: Sequence[SpanFilter]) -> str:
        for each in filters:
            passed: list[Span] = []
            for span in spans:
                passed += each.push(span)
            spans = passed
            if not spans:
                return ""
        out = "".join(span.text for span in spans)
        if out:
            self._at_line_start = out.endswith("\n")
        return out
