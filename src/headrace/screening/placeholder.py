"""Recognising placeholders in text that a model wrote, also when it damaged them a little.

Accepted beside `<EMAIL_1>`: another case, a space, hyphen, Markdown escape or nothing for the
underscore, a missing closing bracket, HTML-escaped and full-width brackets; `[EMAIL_1]` only when
it is whole. Not accepted, because it may mean something else: a name without brackets, or one
whose kind or number is not in this turn's table.
"""

import re
from collections.abc import Collection, Iterator

import msgspec

__all__ = ["Written", "find_placeholders", "pending_placeholder", "placeholder_name"]

_JOIN = r"(?:\\_|[_ \-])"
_WORD = r"[A-Za-z]{1,24}+"
_PLACEHOLDER = re.compile(
    rf"(?:\\?<|&lt;|[＜〈《])({_WORD}(?:{_JOIN}{_WORD}){{0,3}}){_JOIN}?(\d{{1,6}})"
    r"(?:\\?>|&gt;|[＞〉》]|(?![A-Za-z0-9_]))"
    rf"|(?:\\?\[|[【［])({_WORD}(?:\\?_{_WORD}){{0,3}})\\?_(\d{{1,6}})(?:\\?\]|[】］])"
)
_BEGUN = re.compile(
    r"(?:\\?[<\[]|&lt;|[＜〈《【［])([A-Za-z_ \-\\]{0,60}+)(\d{0,6}+)(?:\\|&(?:g(?:t)?)?)?\Z"
    r"|(?:\\|&(?:l(?:t)?)?)\Z"
)
_WINDOW = 80
"""Longest written form: bracket 4, name 60, number 6, bracket 4; rounded up."""
_NOT_A_NAME = re.compile(r"[^A-Z]+")
_JOINS = re.compile(r"[_ \-\\]+")


class Written(msgspec.Struct, frozen=True):
    """A placeholder as it stands in a text."""

    start: int
    end: int
    placeholder: str
    """In its own form, `<EMAIL_1>`, however it was written."""


def placeholder_name(kind: str) -> str:
    """The kind as it appears in a placeholder: capital letters and single underscores."""
    return _NOT_A_NAME.sub("_", kind.upper()).strip("_") or "VALUE"


def find_placeholders(text: str, start: int = 0) -> Iterator[Written]:
    """Everything from `start` on that reads as a placeholder, whether or not it is one of ours."""
    for match in _PLACEHOLDER.finditer(text, start):
        name, number = match[1] or match[3], match[2] or match[4]
        canonical = f"<{_canonical(name)}_{int(number)}>"
        yield Written(match.start(), match.end(), canonical)


def pending_placeholder(text: str, start: int, names: Collection[str]) -> int:
    """Where a placeholder with one of `names` may have begun that is not yet whole."""
    for match in _BEGUN.finditer(text, max(start, len(text) - _WINDOW)):
        if match[1] is None:
            return match.start()
        written = _canonical(match[1])
        if match[2]:
            if written in names:
                return match.start()
        elif any(name.startswith(written) for name in names):
            return match.start()
    return len(text)


def _canonical(name: str) -> str:
    return _JOINS.sub("_", name.upper()).strip("_")
