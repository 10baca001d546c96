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

    def finish(self, reason: FinishReason | None) -> list[Span]:
        return self._prose(self._held, last=True)

    def _prose(self, text: str, *, last: bool) -> list[Span]:
        known = len(self._context)
        text = self._context + text
        self._held = ""
        text = DOUBLED.sub(self._single, text) if last else self._settled(text)
        passed = text[known:]
        self._context = text[-_CONTEXT:]
        return [Span(passed, "prose")] if passed else []

    def _settled(self, text: str) -> str:
        """The text without what may still become a doubled word, which is held back."""
        begun = _BEGUN.search(text, max(0, len(text) - 2 * _CONTEXT))
        if begun is not None:
            rest = begun.group(begun.lastgroup or 0)
            self._held = rest
            text = text[: len(text) - len(rest)]
        return DOUBLED.sub(self._single, text)

    def _single(self, match: re.Match[str]) -> str:
        self._tally.count("doubled_words")
        return match.group(1)
