"""The filters of one answer, one after the other, over its spans."""

from collections.abc import Sequence

from headrace.pipeline.steps.refine.span import Span, SpanFilter, SpanReader
from headrace.pipeline.steps.refine.tally import Tally
from headrace.types import FinishReason

__all__ = ["RefineFilter"]


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
        return self._through(self._reader.push(text), self._filters)

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
