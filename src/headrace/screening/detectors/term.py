"""Words and phrases that a policy lists."""

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

from headrace.screening.finding import Span

__all__ = ["TermDetector", "fold"]

_UNSPACED = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff"
)
"""Scripts that write words without spaces (Thai, Lao, Burmese, Khmer, Kana, Han) or glue
particles to them (Hangul): terms match anywhere in them."""
_SPACED = rf"[^\W_{_UNSPACED}]"
_IS_SPACED = re.compile(_SPACED)
_GAP = r"[\s_\-]{1,3}+"
_GAPS = re.compile(r"[\s_\-]+")

_LOOK_ALIKES = str.maketrans(
    "аеорсухіјѕԁɡһӏԛԝвкмнтαορνικτυχβϲμνⅼℓ",
    "aeopcyxijsdghlqwbkmhtaopviktuxbcuvll",
)
"""Small Cyrillic and Greek letters that read as Latin ones."""


class _Fold(dict[int, int]):
    """Each character as compared: without case and width, look-alikes as Latin. Always one to one,
    so that offsets stay."""

    def __missing__(self, code: int) -> int:
        char = chr(code)
        folded = unicodedata.normalize("NFKC", char).casefold().translate(_LOOK_ALIKES)
        self[code] = ord(folded) if len(folded) == 1 else code
        return self[code]


_FOLD = _Fold()


def fold(text: str) -> str:
    """The text as terms are compared; same length as before."""
    return text.lower() if text.isascii() else text.translate(_FOLD)


class TermDetector:
    """Finds the terms of a policy, whatever their case, width or look-alike letters.

    Latin and other spaced scripts match whole words; Chinese, Japanese, Korean and Thai match
    anywhere. A space in a term stands for up to three spaces, hyphens or underscores. Does not
    catch: inflections, misspellings, letters set apart (`b a d`), invisible characters in between
    (the `normalize` step takes those out before).
    """

    name = "term"

    def __init__(self, lists: Mapping[str, Sequence[str]]) -> None:
        self.kinds = tuple(f"term.{name}" for name in lists)
        self._kinds_by_term: dict[str, list[str]] = {}
        for name, terms in lists.items():
            for term in terms:
                self._kinds_by_term.setdefault(_normal(fold(term)), []).append(f"term.{name}")
        terms = sorted(self._kinds_by_term)
        self._pattern = re.compile(_alternatives(terms)) if terms else None
        self._begun = {
            term[:size]
            for term in terms
            for size in range(1, len(term) + 1)
            if size < len(term) or _IS_SPACED.match(term[-1])
        }
        self._firsts = frozenset(term[0] for term in terms)
        self.window = max((len(term) + 2 * term.count(" ") for term in terms), default=0) + 1

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        if self._pattern is None:
            return
        offset = max(0, start - 1)
        for match in self._pattern.finditer(fold(text[offset:]), start - offset):
            for kind in self._kinds_by_term[_normal(match[0])]:
                yield Span(kind, offset + match.start(), offset + match.end())

    def pending(self, text: str, start: int) -> int:
        size = len(text)
        at = max(start, size - self.window)
        offset = max(0, at - 1)
        folded = fold(text[offset:])
        for index in range(at - offset, len(folded)):
            if folded[index] not in self._firsts or not self._may_begin(folded, index):
                continue
            if _begun(folded[index:]) in self._begun:
                return offset + index
        return size

    @staticmethod
    def _may_begin(folded: str, index: int) -> bool:
        return not (
            index and _IS_SPACED.match(folded, index) and _IS_SPACED.match(folded, index - 1)
        )


def _normal(folded: str) -> str:
    return _GAPS.sub(" ", folded).strip()


def _begun(folded: str) -> str:
    return _GAPS.sub(" ", folded)


def _alternatives(terms: Sequence[str]) -> str:
    """One pattern for all terms: a tree by shared beginnings, longest first."""
    spaced = [term for term in terms if _IS_SPACED.match(term)]
    others = [term for term in terms if not _IS_SPACED.match(term)]
    parts = []
    if spaced:
        parts.append(rf"(?<!{_SPACED}){_tree(spaced)}")
    if others:
        parts.append(_tree(others))
    return "|".join(parts)


def _tree(terms: Sequence[str]) -> str:
    """A pattern for terms that are sorted and differ."""
    shared = _shared(terms)
    rests = [term[len(shared) :] for term in terms]
    head = "".join(_GAP if char == " " else re.escape(char) for char in shared)
    branches: list[str] = []
    by_first: dict[str, list[str]] = {}
    for rest in rests:
        if rest:
            by_first.setdefault(rest[0], []).append(rest)
    branches.extend(_tree(group) for group in by_first.values())
    if "" in rests:
        last = shared[-1:] or ""
        branches.append(rf"(?!{_SPACED})" if last and _IS_SPACED.match(last) else "")
    return head + (branches[0] if len(branches) == 1 else f"(?:{'|'.join(branches)})")


def _shared(terms: Sequence[str]) -> str:
    first, last = terms[0], terms[-1]
    size = 0
    while size < min(len(first), len(last)) and first[size] == last[size]:
        size += 1
    return first[:size]
