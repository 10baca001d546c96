"""An answer cut off by its length: without the sentence it broke off in.

The sentence being written is held back, so the text comes sentence by sentence. Code is never
held back, nor is the whole answer when it has no finished sentence.
"""

import re

from headrace.pipeline.steps.refine.span import Span
from headrace.pipeline.steps.refine.tally import Tally
from headrace.types import FinishReason

__all__ = ["DropUnfinished"]

_CLOSERS = "\"'”’»)\\]}*_」』）】》"
_END = re.compile(rf"[.!?…][{_CLOSERS}]*(?=\s)|[。！？；…．][{_CLOSERS}]*(?=[^{_CLOSERS}])|\n")
_ENDED = re.compile(rf"[.!?…。！？．:：][{_CLOSERS}]*\s*\Z")
_LIST_NUMBER = re.compile(r"\s*\d{1,3}\.\Z")


class DropUnfinished:
    """Drops the last, unfinished sentence when the finish reason is `length`."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._before: list[Span] = []
        """Spans of the current sentence before the one being written."""
        self._tail = ""
        """Prose at the end of the current sentence."""
        self._line_start = True
        self._said = False

    def push(self, span: Span) -> list[Span]:
        if span.kind == "fence":
            out = [*self._take(), span]
            self._said = True
            return out
        if span.kind == "inline":
            if self._tail:
                self._before.append(Span(self._tail, "prose"))
                self._tail = ""
            self._before.append(span)
            return []
        self._tail += span.text
        end = self._last_end()
        if not end:
            return []
        out = [*self._before, Span(self._tail[:end], "prose")]
        self._line_start = self._tail[end - 1] == "\n"
        self._before, self._tail = [], self._tail[end:]
        self._said = self._said or any(not each.text.isspace() for each in out)
        return out

    def finish(self, reason: FinishReason | None) -> list[Span]:
        rest = self._take()
        text = "".join(each.text for each in rest)
        if reason != "length" or not self._said or not text.strip() or self._is_ended(text):
            return rest
        self._tally.count("unfinished")
        return []

    def _take(self) -> list[Span]:
        spans = self._before
        if self._tail:
            spans = [*spans, Span(self._tail, "prose")]
        self._before, self._tail = [], ""
        return spans

    def _is_ended(self, text: str) -> bool:
        return _ENDED.search(text) is not None and not (
            self._line_start and _LIST_NUMBER.match(text.rstrip())
        )

    def _last_end(self) -> int:
        """Where the last finished sentence ends; 0 for none."""
        last = 0
        line_start = self._line_start and not self._before
        for match in _END.finditer(self._tail):
            line = self._tail[last : match.end()]
            numbered = line_start and _LIST_NUMBER.match(line) is not None
            if not numbered:
                last = match.end()
                line_start = match.group() == "\n"
        return last
