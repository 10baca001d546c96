"""Where sentences end, in English, Chinese and mixed text. One pass; cuts need no model.

A full stop ends a sentence only before white space, so decimals and addresses stay whole.
"""

import re
from collections.abc import Iterator

__all__ = ["sentences"]

# The look-behind and the possessive repeats keep a long run of marks linear.
_END = re.compile(
    r"[。！？；…]++[”’」』）》】\"')]*+"
    r"|(?<![.!?])[.!?]++[\"'”’)\]]*+(?=\s)"
    r"|\n[ \t]*+\n"
)
_WORD_BEFORE = re.compile(r"[A-Za-z.]+\Z")
_ABBREVIATIONS = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "dr",
        "prof",
        "sr",
        "jr",
        "st",
        "vs",
        "etc",
        "e.g",
        "i.e",
        "cf",
        "fig",
        "eq",
        "no",
        "vol",
        "pp",
        "approx",
        "inc",
        "ltd",
        "co",
        "corp",
        "dept",
        "est",
        "gen",
        "col",
        "rev",
        "hon",
        "al",
        "jan",
        "feb",
        "mar",
        "apr",
        "jun",
        "jul",
        "aug",
        "sep",
        "sept",
        "oct",
        "nov",
        "dec",
        "u.s",
        "u.k",
        "ph.d",
        "a.m",
        "p.m",
    ]
)
_LONGEST_ABBREVIATION = 8


def sentences(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """The spans of the sentences of `text[start:end]`, in order, without blanks around them."""
    begin = start
    for mark in _END.finditer(text, start, end):
        if mark.group()[0] == "." and _goes_on(text, begin, mark):
            continue
        if span := trimmed(text, begin, mark.end()):
            yield span
        begin = mark.end()
    if span := trimmed(text, begin, end):
        yield span


def trimmed(text: str, start: int, end: int) -> tuple[int, int] | None:
    """The span without white space around it; None where nothing is left."""
    piece = text[start:end]
    if not (bare := piece.strip()):
        return None
    start += len(piece) - len(piece.lstrip())
    return start, start + len(bare)


def _goes_on(text: str, begin: int, mark: re.Match[str]) -> bool:
    """Whether the full stop belongs to a short form, or the next word is in small letters."""
    after = text[mark.end() : mark.end() + 4].lstrip()
    if after[:1].islower():
        return True
    window = text[max(begin, mark.start() - _LONGEST_ABBREVIATION) : mark.start()]
    word = _WORD_BEFORE.search(window)
    if word is None:
        return False
    name = word.group()
    return name.lower() in _ABBREVIATIONS or (len(name) == 1 and name.isupper() and name != "I")
