"""Whitespace: one kind of newline and of space, no trailing spaces, at most two blank lines.

Indentation, tabs, and runs of spaces inside a line stay: they align code and tables.
"""

import re

__all__ = ["is_suspect", "tidy_whitespace", "trim"]

_NEWLINE = r"\r\n?|[\x0b\x0c\x85\u2028\u2029]"
_SPACE = r"[\u00a0\u1680\u2000-\u200a\u202f\u205f]"
_SUSPECT_LINES = re.compile(r"[ \t]\n|\n{4}")
_SUSPECT = re.compile(r"[\r\x0b\x0c\x85\u2028\u2029\u00a0\u1680\u2000-\u200a\u202f\u205f]")

_FIND_NEWLINE = re.compile(_NEWLINE)
_FIND_SPACE = re.compile(_SPACE)
_TRAILING = re.compile(r"(?<![ \t])[ \t]+(?=\n)")
_BLANK_LINES = re.compile(r"\n{4,}")
_LEADING = re.compile(r"\A(?:[ \t]*\n)+")


def is_suspect(text: str) -> bool:
    """Whether `tidy_whitespace` or `trim` has work."""
    return (
        text[:1].isspace()
        or text[-1:].isspace()
        or ("\n" in text and _SUSPECT_LINES.search(text) is not None)
        or _SUSPECT.search(text) is not None
    )


def tidy_whitespace(text: str) -> tuple[str, int]:
    """The text with its whitespace in order, and how many places changed."""
    count = 0
    for pattern, replacement in (
        (_FIND_NEWLINE, "\n"),
        (_FIND_SPACE, " "),
        (_TRAILING, ""),
        (_BLANK_LINES, "\n\n\n"),
    ):
        text, changed = pattern.subn(replacement, text)
        count += changed
    return text, count


def trim(text: str, *, start: bool = True, end: bool = True) -> tuple[str, int]:
    """Without blank lines at the start and whitespace at the end; indentation stays."""
    trimmed = _LEADING.sub("", text) if start else text
    if end:
        trimmed = trimmed.rstrip()
    return trimmed, int(trimmed != text)
