"""IP addresses."""

import ipaddress
import re
from collections.abc import Iterator

from headrace.screening.finding import Span

__all__ = ["IpDetector"]

_DOTTED = re.compile(r"\d{1,3}(?:\.\d{1,3}){3}")
_V4 = re.compile(
    r"(?<![A-Za-z0-9_.\-])(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)\.){3}"
    r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?![A-Za-z0-9_]|\.\d)"
)
_COLONS = re.compile(r":[0-9A-Fa-f]{0,4}:")
_V6 = re.compile(r"(?<![A-Za-z0-9_:.])[0-9A-Fa-f]{0,4}+:[0-9A-Fa-f:.]{2,42}+(?![A-Za-z0-9_:.])")
_HEX = frozenset("0123456789abcdefABCDEF")
_OPEN_V4 = re.compile(r"(?<![A-Za-z0-9_.\-])\d{1,3}+(?:\.\d{1,3}+){0,3}+\.?\Z")
_OPEN_V6 = re.compile(r"(?<![A-Za-z0-9_:.])[0-9A-Fa-f]{0,4}+(?::[0-9A-Fa-f:.]{0,42}+)?\Z")
_WINDOW = 50
_SENTENCE_END = re.compile(r"(?:\.|(?<=[^:]):)+\Z")
_SAYS_VERSION = re.compile(
    r"(?i)(?:\b(?:v|ver|version|release|build|firmware|kernel|chrome|driver)|版本|版)[\s:.=/]{0,3}\Z"
)


class IpDetector:
    """Finds IPv4 and IPv6 addresses that may point at a machine.

    Left alone: loopback, unspecified and network masks, and numbers behind a word for "version".
    Does not catch: addresses as one integer or in hexadecimal, names of hosts; short IPv6 forms
    that read like program text (`a::b`, `1::2`).
    """

    name = "ip"
    kinds = ("ip",)
    languages = ("any",)
    cost_us = 14
    window = _WINDOW

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        if text.find(".", start) >= 0:
            for dotted in _DOTTED.finditer(text, start):
                match = _V4.match(text, dotted.start())
                if match is not None and _is_v4(match):
                    yield Span("ip", match.start(), match.end())
        at = start
        while colons := _COLONS.search(text, at):
            at = colons.end()
            begin = colons.start()
            while begin > start and colons.start() - begin < 4 and text[begin - 1] in _HEX:
                begin -= 1
            match = _V6.match(text, begin)
            if match is not None:
                at = match.end()
                address = _SENTENCE_END.sub("", match[0])
                if _is_v6(address):
                    yield Span("ip", begin, begin + len(address))

    def pending(self, text: str, start: int) -> int:
        size = len(text)
        if not size or not (text[-1] in ".:" or text[-1] in "0123456789abcdefABCDEF"):
            return size
        at = max(start, size - _WINDOW)
        runs = (_OPEN_V4.search(text, at), _OPEN_V6.search(text, at))
        return min((run.start() for run in runs if run), default=size)


def _is_v4(match: re.Match[str]) -> bool:
    first = match[0].partition(".")[0]
    if first in {"0", "127", "255"}:
        return False
    return not _SAYS_VERSION.search(match.string, max(0, match.start() - 16), match.start())


def _is_v6(text: str) -> bool:
    groups = [group for group in text.split(":") if group]
    if text.count(":") < 2 or len(groups) < 2 or (len(groups) < 4 and len(groups[0]) < 3):
        return False
    if not any(char.isdigit() for char in text):
        return False
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return not (address.is_loopback or address.is_unspecified)
