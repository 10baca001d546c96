"""Looping text: the same words in the same order, again and again, until the tokens run out.

Words are compared at a distance: once some words repeat those just before, that distance is the
length of the unit, and the run of words equal to the one a unit earlier says how often it came.
After `max_repeats` units the text is held back; if another one begins, the answer ends there; if
not, the text goes on. Work per word is constant.

Not seen: units longer than 200 words, repeats that differ in a number ("3. Yes", "4. Yes").
"""

import re
from typing import Final

from headrace.pipeline.steps.refine.span import Span
from headrace.pipeline.steps.refine.tally import Tally
from headrace.types import FinishReason

__all__ = ["LoopStop"]

_CJK = r"\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_LONGEST_WORD: Final = 64
"""Longer ones count as several, so that an endless word costs no more than others."""
_WORD = re.compile(rf"\n|[{_CJK}]|[^\W{_CJK}]{{1,{_LONGEST_WORD}}}|[^\w\s]")
_ENDS = frozenset(".!?…。！？\n")
_SHINGLE: Final = 4
"""Words that must come again before a distance counts as a unit's length."""
_LONGEST_UNIT: Final = 200
_LEAST_CHARS: Final = 160
"""Characters a run must have: "ha ha ha ha" is laughter."""
_LEAST_MARKS: Final = 400
"""The same where the unit has no letter: rules and leaders (-----, .....) are long."""
_BEGUN: Final = 8
"""Words of one more repeat that prove that it has begun."""
_STRUCTURED_PATIENCE: Final = 10
"""How many times more repeats a table or list may have: equal rows are often meant."""


class LoopStop:
    """Ends an answer that repeats itself."""

    def __init__(self, tally: Tally, max_repeats: int) -> None:
        self._tally = tally
        self._max_repeats = max_repeats
        self._partial = ""
        """The beginning of a word whose end has not come yet; it has been passed on."""
        self._words: list[str] = []
        self._seen: dict[tuple[str, ...], int] = {}
        """Where each shingle ended last."""
        self._distance = 0
        self._run = 0
        """Words in a row that equal the one `_distance` earlier."""
        self._run_chars = 0
        self._holding = False
        self._begun = 0
        """Words of one more repeat, while holding."""
        self._held: list[Span] = []
        self._ended = False

    def push(self, span: Span) -> list[Span]:
        if self._ended:
            return []
        if span.kind == "fence":
            released = self._release()
            self._forget()
            return [*released, span]
        text = self._partial + span.text
        known = len(self._partial)
        out: list[Span] = []
        passed = 0
        self._partial = ""
        for match in _WORD.finditer(text):
            word = match.group()
            if match.end() == len(text) and _may_grow(word):
                self._partial = word
                break
            was_holding = self._holding
            if self._see(word):
                return out
            at = max(match.end() - known, 0)
            if was_holding != self._holding and at > passed:
                self._pass(Span(span.text[passed:at], span.kind), out, held=was_holding)
                passed = at
            if was_holding and not self._holding:
                out.extend(self._release())
        if passed < len(span.text):
            self._pass(Span(span.text[passed:], span.kind), out, held=self._holding)
        return out

    def take(self, text: str, word: str) -> bool:
        if self._holding or self._ended:
            return False
        if word and text[0] != " ":
            word = self._partial + word
            if len(word) >= _LONGEST_WORD:
                return False
            self._partial = word
            return True
        before, self._partial = self._partial, word
        if before and self._holds_after(before):
            self._partial = ""
            return False
        if not word:
            self._see(text)
        return True

    def finish(self, reason: FinishReason | None) -> list[Span]:
        return [] if self._ended else self._release()

    def _pass(self, span: Span, out: list[Span], *, held: bool) -> None:
        (self._held if held else out).append(span)

    def _release(self) -> list[Span]:
        released, self._held = self._held, []
        self._holding = False
        return released

    def _forget(self) -> None:
        self._words.clear()
        self._seen.clear()
        self._partial = ""
        self._distance = self._run = self._run_chars = 0

    def _see(self, word: str) -> bool:
        """Take in one word; whether the answer ends before it."""
        words = self._words
        words.append(word)
        here = len(words)
        if self._distance and words[-1 - self._distance] == word:
            self._run += 1
            self._run_chars += len(word) + 1
        else:
            self._distance = self._run = self._run_chars = 0
            self._holding = False
        if here >= _SHINGLE:
            shingle = tuple(words[-_SHINGLE:])
            last = self._seen.get(shingle)
            self._seen[shingle] = here
            if not self._distance and last is not None and here - last <= _LONGEST_UNIT:
                self._begin_run(here - last)
        if self._distance or self._holding:
            self._judge()
        if here > 8 * _LONGEST_UNIT:
            self._trim()
        return self._ended

    def _holds_after(self, word: str) -> bool:
        self._see(word)
        return self._holding

    def _begin_run(self, distance: int) -> None:
        """Take `distance` as the unit's length; count back how long it has held."""
        words = self._words
        self._distance = distance
        at = len(words) - 1
        while at >= distance and words[at] == words[at - distance] and self._run < 2 * distance:
            self._run += 1
            self._run_chars += len(words[at]) + 1
            at -= 1

    def _judge(self) -> None:
        """Hold back once the unit has come often enough; end when it begins once more."""
        distance = self._distance
        if self._holding:
            self._begun += 1
            if self._begun >= min(_BEGUN, distance):
                self._held = []
                self._ended = True
                self._tally.end("loop")
            return
        if not distance or self._run < (self._max_repeats - 1) * distance:
            return
        unit = self._words[-distance:]
        over = self._run - (self._allowed(unit) - 1) * distance
        chars = self._run_chars + sum(len(each) + 1 for each in unit)
        if over < 0 or chars < self._least_chars(unit):
            return
        # The answer should end with a sentence, else with a whole unit.
        ends = unit[-1] in _ENDS if not _ENDS.isdisjoint(unit) else over % distance == 0
        if ends:
            self._holding, self._begun = True, 0

    def _allowed(self, unit: list[str]) -> int:
        structured = any(
            word == "\n" and (after in "|-*+•" or after.isdigit())
            for word, after in zip(unit, unit[1:] + unit[:1], strict=True)
        )
        return self._max_repeats * (_STRUCTURED_PATIENCE if structured else 1)

    @staticmethod
    def _least_chars(unit: list[str]) -> int:
        return _LEAST_CHARS if any(word[0].isalnum() for word in unit) else _LEAST_MARKS

    def _trim(self) -> None:
        """Forget words that no unit can reach back to."""
        cut = len(self._words) - 2 * _LONGEST_UNIT
        del self._words[:cut]
        self._seen = {key: at - cut for key, at in self._seen.items() if at > cut}


def _may_grow(word: str) -> bool:
    return len(word) < _LONGEST_WORD and _WORD.fullmatch(word + "a") is not None
