"""Doubled function words ("the the"): one goes, in English answers only.

Only words that never stand twice in a row on purpose (not "that that", "had had"), lower-case,
on one line, and not in quotation marks, where they may be what the answer is about.
"""

import re

from headrace.pipeline.steps.refine.span import Span
from headrace.pipeline.steps.refine.tally import Tally
from headrace.types import FinishReason

__all__ = ["DOUBLED", "UndoubleWords"]

_WORDS = (
    "the",
    "a",
    "an",
    "of",
    "and",
    "to",
    "for",
    "with",
    "from",
    "or",
    "at",
    "by",
    "are",
    "was",
)
_ONE = "|".join(sorted(_WORDS, key=len, reverse=True))
_BEFORE = r"(?<![\w'\"“‘«`*_/.-])"
DOUBLED = re.compile(rf"{_BEFORE}({_ONE})((?: {{1,3}}\1)+)(?![\w'’-])")
"""A doubled word where this filter would act."""

_BEGUN = re.compile(
    _BEFORE
    + "(?:"
    + "|".join(
        # After the word: spaces, and the beginning of one more.
        f"{word}(?P<rest_{word}> {{1,3}}(?:{'|'.join(word[:end] for end in range(len(word), 0, -1))})?)"
        for word in _WORDS
    )
    + r")\Z"
)
_WORDS_BY_BEGINNING = {
    word[:end]: tuple(each for each in _WORDS if each.startswith(word[:end]))
    for word in _WORDS
    for end in range(1, len(word) + 1)
}
_CONTEXT = 12
"""Characters kept from what has left, so that a word and its double may come apart."""


class UndoubleWords:
    """Drops the repeats of a doubled word."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._context = ""
        self._held = ""

    def push(self, span: Span) -> list[Span]:
        if span.kind != "prose":
            out = [*self._prose(self._held, last=True), span]
            self._context = "`"
            return out
        return self._prose(self._held + span.text, last=False)

    def take(self, text: str, word: str) -> bool:
        if self._held:
            return False
        doubled = _WORDS_BY_BEGINNING.get(word)
        if doubled is not None and self._context.endswith(doubled):
            return False
        self._context = (self._context + text)[-_CONTEXT:]
        return True

    def finish(self, reason: FinishReason | None) -> list[Span]:
        return self._prose(self._held, last=True)

    def _prose(self, text: str, *, last: bool) -> list[Span]:
        known = len(self._context)
        text = self._context + text
        self._held = "" if last else _rest(text)
        text = text[: len(text) - len(self._held)]

        def single(match: re.Match[str]) -> str:
            if match.end() <= known:
                # All of it has left: that looks doubled only because its beginning is cut off.
                return match.group()
            self._tally.count("doubled_words", len(match.group(2).split()))
            return match.group(1)

        text = DOUBLED.sub(single, text)
        self._context = text[-_CONTEXT:]
        passed = text[known:]
        return [Span(passed, "prose")] if passed else []


def _rest(text: str) -> str:
    """What may still become the repeat of a doubled word, at the end of the text."""
    begun = _BEGUN.search(text, max(0, len(text) - 2 * _CONTEXT))
    return begun.group(begun.lastgroup or 0) if begun is not None else ""
