"""An answer cut off by its length: without the sentence it broke off in.

The sentence being written is held back, so the text comes sentence by sentence. What stays: code,
an answer without any finished sentence, and a sentence of more than 2,000 characters.
"""

import re

from headrace.pipeline.steps.refine.span import Span
from headrace.pipeline.steps.refine.tally import Tally
from headrace.types import FinishReason

__all__ = ["DropUnfinished"]

_CLOSERS = "\"'”’»)\\]}*_」』）】》"
_MOST_CLOSERS = 8
_END = re.compile(
    rf"[.!?…][{_CLOSERS}]{{0,{_MOST_CLOSERS}}}+(?=\s)"
    rf"|[。！？；…．][{_CLOSERS}]{{0,{_MOST_CLOSERS}}}+(?=.)|\n",
    re.DOTALL,
)
_ENDED = re.compile(rf"[.!?…。！？．:：][{_CLOSERS}]{{0,{_MOST_CLOSERS}}}+\s*+\Z")
_LIST_NUMBER = re.compile(r"\s*+\d{1,3}\.\Z")
_LONGEST = 2_000
"""Characters held back at most: a longer sentence is let go, finished or not."""


class DropUnfinished:
    """Drops the last, unfinished sentence when the finish reason is `length`."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._before: list[Span] = []
        """Spans of the current sentence before the one being written."""
        self._tail = ""
        """Prose at the end of the current sentence."""
        self._searched = 0
        """How far the tail has no end in it, whatever follows."""
        self._held = 0
        """Characters of the current sentence."""
        self._overlong = False
        """Whether the current sentence has been let go."""
        self._line_start = True
        self._said = False

    def push(self, span: Span) -> list[Span]:
        if span.kind == "fence":
            out = [*self._take(), span]
            self._said = True
            self._overlong = False
            return out
        self._held += len(span.text)
        if span.kind == "inline":
            if self._tail:
                self._before.append(Span(self._tail, "prose"))
                self._tail, self._searched = "", 0
            self._before.append(span)
            return self._let_go()
        self._tail += span.text
        end = self._last_end()
        if not end:
            self._searched = max(0, len(self._tail) - _MOST_CLOSERS - 1)
            return self._let_go()
        out = [*self._before, Span(self._tail[:end], "prose")]
        self._line_start = self._tail[end - 1] == "\n"
        self._before, self._tail, self._searched = [], self._tail[end:], 0
        self._held, self._overlong = len(self._tail), False
        self._said = self._said or any(not each.text.isspace() for each in out)
        return [*out, *self._let_go()]

    def take(self, text: str, word: str) -> bool:
        return False

    def finish(self, reason: FinishReason | None) -> list[Span]:
        overlong = self._overlong
        rest = self._take()
        text = "".join(each.text for each in rest)
        kept = overlong or not self._said or not text.strip() or self._is_ended(text)
        if reason != "length" or kept:
            return rest
        self._tally.count("unfinished")
        return []

    def _let_go(self) -> list[Span]:
        """The current sentence, once it is too long, but for what may be its end."""
        if self._held <= _LONGEST and not self._overlong:
            return []
        end = self._tail[-_MOST_CLOSERS - 1 :]
        self._tail = self._tail[: len(self._tail) - len(end)]
        passed = self._take()
        self._tail = end
        self._overlong, self._line_start = True, False
        return passed

    def _take(self) -> list[Span]:
        spans = self._before
        if self._tail:
            spans = [*spans, Span(self._tail, "prose")]
        self._before, self._tail, self._searched, self._held = [], "", 0, 0
        return spans

    def _is_ended(self, text: str) -> bool:
        return _ENDED.search(text) is not None and not (
            self._line_start and _LIST_NUMBER.match(text.rstrip())
        )

    def _last_end(self) -> int:
        """Where the last finished sentence ends; 0 for none."""
        last = 0
        line_start = self._line_start and not self._before
        for match in _END.finditer(self._tail, self._searched):
            line = self._tail[last : match.end()]
            numbered = line_start and _LIST_NUMBER.match(line) is not None
            if not numbered:
                last = match.end()
                line_start = match.group() == "\n"
        return last
