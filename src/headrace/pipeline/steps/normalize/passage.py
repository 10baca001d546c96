"""Cutting a text into passages: prose that may be changed, code and addresses that may not."""

import re
from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Passage", "passages", "prose"]


class Passage(NamedTuple):
    """A stretch of a text. Code is fenced blocks, inline code, URLs and e-mail addresses."""

    text: str
    is_code: bool


_FENCE = re.compile(r"^ {0,3}(?:>[> ]{0,8})?(`{3,}|~{3,})([^\n]*)(?:\n|\Z)", re.MULTILINE)
_URL = r"(?:https?|ftp|wss?|file)://[^\s<>\"'`，。！？；：、（）《》“”]+|\bwww\.[^\s<>\"'`，。；、（）]+"
_MAIL = r"(?<![\w.+-])[\w.+-]{1,64}@(?:[\w-]{1,63}\.){1,8}[A-Za-z]{2,24}"
_INLINE = re.compile(rf"(?P<ticks>(?<!`)`{{1,8}}(?!`))|{_URL}|{_MAIL}")


def passages(text: str) -> Iterator[Passage]:
    """The passages of `text` in order; joined they are `text` again. Linear in its length."""
    if "```" not in text and "~~~" not in text:
        yield from _inline(text)
        return
    at = 0
    for begin, end in _fenced(text):
        if begin > at:
            yield from _inline(text[at:begin])
        yield Passage(text[begin:end], is_code=True)
        at = end
    if at < len(text):
        yield from _inline(text[at:])


def prose(text: str) -> str:
    """The text without its code and addresses."""
    if "`" not in text and "://" not in text and "@" not in text and "~~~" not in text:
        return text
    return " ".join(passage.text for passage in passages(text) if not passage.is_code)


def _fenced(text: str) -> Iterator[tuple[int, int]]:
    """Where fenced blocks begin and end, fences included; one left open reaches to the end."""
    opened: re.Match[str] | None = None
    for line in _FENCE.finditer(text):
        fence, rest = line.group(1), line.group(2)
        if opened is None:
            # A backtick fence has no backtick in its info string: then it is inline code.
            if fence[0] == "~" or "`" not in rest:
                opened = line
        elif fence.startswith(opened.group(1)) and not rest.strip():
            yield opened.start(), line.end()
            opened = None
    if opened is not None:
        yield opened.start(), len(text)


def _inline(text: str) -> Iterator[Passage]:
    if "`" not in text and "://" not in text and "@" not in text and "www." not in text:
        yield Passage(text, is_code=False)
        return
    at = searched = 0
    unmatched: set[int] = set()
    while match := _INLINE.search(text, searched):
        begin, end = match.span()
        ticks = match.group("ticks")
        if ticks is not None:
            closing = -1 if len(ticks) in unmatched else _closing(text, ticks, end)
            if closing < 0:
                unmatched.add(len(ticks))
                searched = end
                continue
            end = closing
        if begin > at:
            yield Passage(text[at:begin], is_code=False)
        yield Passage(text[begin:end], is_code=True)
        at = searched = end
    if at < len(text):
        yield Passage(text[at:], is_code=False)


def _closing(text: str, ticks: str, start: int) -> int:
    """Where the inline code opened by `ticks` ends, or -1. A blank line ends the search."""
    closing = re.compile(rf"(?<!`){ticks}(?!`)").search(text, start)
    if closing is None:
        return -1
    return closing.end() if "\n" not in text[start : closing.start()] else -1
