"""What makes two questions different however near their embeddings are.

"Sales in 2024" and "sales in 2025" have almost the same vector and different answers. So before an
answer is given to another question than its own, the words are compared: numbers and dates, names,
quoted text, negations, opposites and the kind of question must be the same, in the same order; and
where much of the rest is the same, all of it must be, but for words without a subject of their own
("please", "what is", "请问") and the form of a word.

Not caught: a name in lower case, or in Chinese, in a longer question that shares few words with the
other. That is left to the threshold.
"""

import difflib
import re
import unicodedata
from collections.abc import Sequence

from headrace.models.cache.word import (
    EMPTY,
    NEGATIONS,
    NUMBERS,
    OPPOSITES,
    ORDINARY,
    OWNERS,
    QUESTIONS,
)

__all__ = ["difference"]

NEARLY_SAME = 0.4
"""Share of words in common from which on a word that differs is taken for another subject."""
MOST_WORDS = 400
"""Longer questions are too much to compare while others wait, and seldom mean the same."""

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_WORD = re.compile(
    r"<[A-Z_]+_\d+>"  # a placeholder
    r"|[A-Za-z0-9_./-]*\d[\w./:%-]*"  # a number, date, version or identifier
    rf"|[{_HAN}]"
    rf"|[^\W\d_{_HAN}]+(?:['’][^\W\d_]+)*"
)
_QUOTED = re.compile(
    r"[\"“«「『]([^\"”»」』]{1,200})[\"”»」』]|(?<!\w)['‘]([^'’]{1,200})['’](?!\w)|`([^`]+)`"
)
_SENTENCE_END = re.compile(r"[.!?:;。！？：；\n]\s*\Z")
_EMPTY_PHRASES = re.compile("一下|一点")
_SAYS_NOTHING = EMPTY | OWNERS


def difference(one: str, other: str) -> str | None:
    """Why `one` must not get the answer to `other`, in a word; None: nothing speaks against it."""
    one, other = (_EMPTY_PHRASES.sub("", unicodedata.normalize("NFKC", e)) for e in (one, other))
    first, second = _words(one), _words(other)
    if max(len(first), len(second)) > MOST_WORDS:
        return "long"
    if _quoted(one) != _quoted(other):
        return "quoted"
    here, there = [_plain(each) for each in first], [_plain(each) for each in second]
    if _numbers(here) != _numbers(there):
        return "number"
    for kind, known in (("negation", NEGATIONS), ("opposite", OPPOSITES), ("question", QUESTIONS)):
        if _among(here, known) != _among(there, known):
            return kind
    mine, yours = set(_among(here, OWNERS)), set(_among(there, OWNERS))
    if mine and yours and mine != yours:
        return "owner"
    names = _names(one) | _names(other)
    if _among(here, names) != _among(there, names):
        return "name"
    return _subject(here, there)


def _words(text: str) -> list[str]:
    return [match[0].rstrip(".,:/-") for match in _WORD.finditer(text)]


def _plain(word: str) -> str:
    """In lower case, without apostrophes and the possessive's."""
    return word.lower().replace("’", "'").removesuffix("'s").replace("'", "")


def _quoted(text: str) -> list[str]:
    return [(m[1] or m[2] or m[3]).strip().lower() for m in _QUOTED.finditer(text)]


def _numbers(words: Sequence[str]) -> list[str]:
    """Everything with a digit, and words for numbers and times, in order."""
    return [each for each in words if each in NUMBERS or any(c.isdigit() for c in each)]


def _among(words: Sequence[str], known: frozenset[str] | set[str]) -> list[str]:
    """Those that are known, in order; every negation is the same one."""
    return ["not" if known is NEGATIONS else each for each in words if each in known]


def _names(text: str) -> set[str]:
    """Words with a capital within a sentence, or in capitals; in lower case."""
    found: set[str] = set()
    for match in _WORD.finditer(text):
        word = match[0]
        before = text[: match.start()].rstrip()
        begins = not before or _SENTENCE_END.search(text[: match.start()]) is not None
        if (len(word) > 1 and word.isupper()) or (word[0].isupper() and not begins):
            found.add(_plain(word))
    return found - ORDINARY


def _subject(one: Sequence[str], other: Sequence[str]) -> str | None:
    """`subject` where much is the same, or one word is all there is, and it is not the same."""
    here = [each for each in one if each not in _SAYS_NOTHING]
    there = [each for each in other if each not in _SAYS_NOTHING]
    has_one_subject = min(len(here), len(there)) == 1
    if not has_one_subject and max(_shared(one, other), _shared(here, there)) < NEARLY_SAME:
        return None
    is_same = len(here) == len(there) and all(map(_is_form_of, here, there))
    return None if is_same else "subject"


def _shared(one: Sequence[str], other: Sequence[str]) -> float:
    return difflib.SequenceMatcher(None, one, other, autojunk=False).ratio()


def _is_form_of(one: str, other: str) -> bool:
    """Whether two words are one in another form (`price`, `prices`) or spelling (`colour`, `color`)."""
    if one == other:
        return True
    shorter = min(len(one), len(other))
    common = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), shorter)
    return common >= 4 and max(len(one), len(other)) - common <= 3
