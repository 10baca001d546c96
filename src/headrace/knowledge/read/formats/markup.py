"""HTML as a stream of tags and texts, in one pass whatever is written.

Python's own `html.parser` takes quadratic time on unfinished tags (40 kB of `<a/` took it 29
seconds) and raises AssertionError on some. Here every scan either consumes what it looked at or is
the last of its kind. Not a tree: what is open where is the caller's business.
"""

import html
import re
from collections.abc import Iterator
from typing import Literal, NamedTuple, TypeAlias

__all__ = ["Event", "Kind", "attribute", "events"]

Kind: TypeAlias = Literal["start", "end", "text"]


class Event(NamedTuple):
    """One tag or one text."""

    kind: Kind
    value: str
    """A tag's name in small letters, or the text with its entities resolved."""
    attributes: str = ""
    """Of a start tag, as written."""


_SIGN = re.compile(r"<(?=[a-zA-Z!?/])")
# Possessive throughout: nothing is tried twice. A quote that never ends is an ordinary sign.
_START = re.compile(
    r"<([a-zA-Z][^\s/>]*+)((?:[^>=]++|=\s*+(?:\"[^\"]*+\"|'[^']*+')?+)*+)>",
)
_ATTRIBUTE = re.compile(r"([^\s/=\"'>]++)(?:\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s\"'>]++)))?+")
_NAME = re.compile(r"</([a-zA-Z][^\s/>]*+)")
_RAW_END = {
    name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE)
    for name in ("script", "style", "xmp", "iframe", "noembed", "noframes", "textarea", "title")
}
"""Elements in which nothing but their own end tag counts."""
_DROPPED = frozenset({"script", "style", "iframe", "noembed", "noframes"})
_HUGE_NUMBER = re.compile(r"&#(?:[0-9]{8,}+|[xX][0-9a-fA-F]{7,}+);?")


def events(text: str) -> Iterator[Event]:
    """The tags and texts of a page, in order. Comments and declarations are passed over."""
    at, endless = 0, set[str]()
    while at < len(text):
        found = _SIGN.search(text, at)
        sign = found.start() if found else -1
        if sign != at:
            yield Event("text", _resolved(text[at : sign if sign >= 0 else len(text)]))
        if sign < 0:
            return
        if text[sign + 1] not in "!?/":
            match = _START.match(text, sign)
            if match is None:  # there is no > any more, so no tag either
                yield Event("text", _resolved(text[sign:]))
                return
            name, at = match[1].lower(), match.end()
            yield Event("start", name, match[2])
            if name in _RAW_END and name not in endless:
                end = _RAW_END[name].search(text, at)
                if end is not None:
                    if name not in _DROPPED:
                        yield Event("text", _resolved(text[at : end.start()]))
                    at = end.start()
                elif name in _DROPPED:
                    return
                else:
                    endless.add(name)
            continue
        named, at = _other(text, sign)
        if named:
            yield Event("end", named)


def _other(text: str, sign: int) -> tuple[str, int]:
    """The name of the end tag there, if it is one, and where what is there ends."""
    is_comment = text.startswith("<!--", sign)
    end = text.find("-->", sign + 2) if is_comment else text.find(">", sign + 1)
    if end < 0:
        return "", len(text)
    named = _NAME.match(text, sign, end)
    return named[1].lower() if named else "", end + (3 if is_comment else 1)


def attribute(event: Event, name: str) -> str:
    """The value of an attribute of a start tag; empty without."""
    for match in _ATTRIBUTE.finditer(event.attributes):
        if match[1].lower() == name:
            return _resolved(match[2] or match[3] or match[4] or "")
    return ""


def _resolved(text: str) -> str:
    # Python refuses to read numbers of thousands of digits; none of these is a character.
    return html.unescape(_HUGE_NUMBER.sub("\ufffd", text)) if "&" in text else text
