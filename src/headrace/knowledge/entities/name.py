"""Names in a text: folded, at word borders, the longest first."""

import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from headrace.knowledge.entities.fold import fold
from headrace.knowledge.entities.longer_word import is_short, longer_words
from headrace.knowledge.entities.settings import Entity
from headrace.knowledge.entities.typo import Typos

__all__ = ["Mention", "Names"]

Mention = tuple[int, int, Sequence[Entity], bool]
"""Start, end, whom it may mean, and whether it is written exactly so."""


class Names:
    """The names of a glossary, to be found in texts."""

    def __init__(self, entities: Iterable[Entity], *, typos: bool) -> None:
        self._by_name: dict[str, list[Entity]] = {}
        for entity in entities:
            for name in dict.fromkeys(fold(n)[0] for n in (entity.name, *entity.aliases)):
                self._by_name.setdefault(name, []).append(entity)
        self._by_name.pop("", None)
        self._lengths: dict[str, list[int]] = {}
        for name in sorted(self._by_name, key=len, reverse=True):
            lengths = self._lengths.setdefault(name[:2], [])
            if len(name) not in lengths:
                lengths.append(len(name))
        short = frozenset(name for name in self._by_name if is_short(name))
        self._longer = longer_words(frozenset(name for name in short if len(name) > 1))
        self._short = short
        self._typos = Typos(self._by_name) if typos else None

    def find(self, text: str) -> tuple[str, list[Mention]]:
        """The folded text and the mentions in order, none over another."""
        folded, source = fold(text)
        found: list[Mention] = []
        at = 0
        while at < len(folded):
            if at and _is_spaced(folded[at - 1]) and _is_spaced(folded[at]):
                at += 1  # inside a word no name begins
                continue
            length = (
                self._longest(folded, source, at) if folded[at : at + 2] in self._lengths else 0
            )
            if not length and folded[at] in self._lengths:
                length = self._longest(folded, source, at, one=True)
            if not length:
                at += 1
                continue
            end = _original_end(text, source, at + length)
            found.append((source[at], end, self._by_name[folded[at : at + length]], True))
            at += length
        if self._typos is not None:
            found += self._mistyped(text, folded, source, found)
        return folded, found

    def _longest(self, folded: str, source: Sequence[int], at: int, *, one: bool = False) -> int:
        for length in self._lengths[folded[at] if one else folded[at : at + 2]]:
            end = at + length
            name = folded[at:end]
            if end > len(folded) or name not in self._by_name:
                continue
            if not _ends_word(folded, end):
                continue
            if name in self._short and not self._stands_alone(folded, at, name):
                continue
            whole = at == 0 or source[at - 1] != source[at]
            if whole and (end == len(folded) or source[end - 1] != source[end]):
                return length
        return 0

    def _stands_alone(self, folded: str, at: int, name: str) -> bool:
        """Whether a short Chinese name is no part of a longer word here."""
        if len(name) == 1:
            around = folded[at - 1 : at] + folded[at + 1 : at + 2]
            return not any("\u4e00" <= char <= "\u9fff" for char in around)
        longer = self._longer.get(name)
        return longer is None or not longer.hold(folded, at)

    def _mistyped(
        self, text: str, folded: str, source: Sequence[int], exact: Sequence[Mention]
    ) -> Iterator[Mention]:
        assert self._typos is not None
        for start, end, name in self._typos.find(folded):
            first, last = source[start], _original_end(text, source, end)
            if all(last <= each[0] or first >= each[1] for each in exact):
                yield first, last, self._by_name[name], False


def _original_end(text: str, source: Sequence[int], end: int) -> int:
    at = source[end - 1] + 1
    while at < len(text) and unicodedata.combining(text[at]):
        at += 1
    return at


def _is_spaced(char: str) -> bool:
    """Whether a letter belongs to a script that puts spaces between words."""
    return char.isalnum() and not "\u3040" <= char <= "\u9fff"


def _ends_word(text: str, end: int) -> bool:
    """Whether a word ends here, be it for a plural's s."""
    if end == len(text) or not (_is_spaced(text[end]) and _is_spaced(text[end - 1])):
        return True
    return text[end] == "s" and (end + 1 == len(text) or not _is_spaced(text[end + 1]))
