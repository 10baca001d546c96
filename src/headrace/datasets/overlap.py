"""Rows that give away what a suite asks: training on them would make its score worthless.

A row overlaps a case when both have a run of words in common (13, as in Brown et al., "Language
Models are Few-Shot Learners", 2020, appendix C; all words where the case has fewer). Words are
compared without case and marks; a Chinese or Japanese letter is a word.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from headrace.datasets.example import Example

__all__ = ["Overlap", "OverlapFinder"]

_RUN = 13
_LEAST = 5
"""Words that a case must have: "What is the capital?" is no secret."""
_CJK = "\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_CJK}]|[^\W_{_CJK}]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlap:
    """A row and the case that it gives away."""

    row: int
    """Position in the dataset, from 0."""
    example: str
    """Its id."""
    case: str
    """The name that the case goes by."""
    words: str
    """The run they share, as words alone."""


class OverlapFinder:
    """Looks for the words of cases in rows. Its size is that of the cases."""

    def __init__(self, cases: Iterable[tuple[str, str]], *, run: int = _RUN) -> None:
        """
        Args:
            cases: name and text of each.
            run: words in common that count.
        """
        self._by_length: dict[int, dict[int, str]] = {}
        self.skipped: list[str] = []
        """Cases of too few words to be recognised."""
        for name, text in cases:
            words = _words(text)
            if len(words) < _LEAST:
                self.skipped.append(name)
                continue
            length = min(run, len(words))
            known = self._by_length.setdefault(length, {})
            for at in range(len(words) - length + 1):
                known.setdefault(hash(tuple(words[at : at + length])), name)

    def find(self, rows: Iterable[Example]) -> Iterator[Overlap]:
        """Every row that overlaps a case, once."""
        for position, example in enumerate(rows):
            found = self.find_in(example.text())
            if found is not None:
                case, words = found
                yield Overlap(row=position, example=example.id, case=case, words=words)

    def find_in(self, text: str) -> tuple[str, str] | None:
        """The first case that the text overlaps, and the words they share."""
        words = _words(text)
        for length, known in self._by_length.items():
            for at in range(len(words) - length + 1):
                run = tuple(words[at : at + length])
                if (name := known.get(hash(run))) is not None:
                    return name, " ".join(run)
        return None


def _words(text: str) -> list[str]:
    return _WORD.findall(unicodedata.normalize("NFKC", text).casefold())
