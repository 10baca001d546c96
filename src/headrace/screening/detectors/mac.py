"""Hardware addresses of network cards."""

import re
from collections.abc import Iterator

from headrace.screening.finding import Span

__all__ = ["MacDetector"]

_HEX = "0123456789abcdefABCDEF"
_PAIR = r"[0-9A-Fa-f]{2}"
_ADDRESS = re.compile(
    rf"(?<![0-9A-Za-z:\-]){_PAIR}([:\-]){_PAIR}(?:\1{_PAIR}){{4}}(?![0-9A-Za-z])(?![:\-][0-9A-Fa-f])"
)
_OPEN = re.compile(
    rf"(?<![0-9A-Za-z:\-]){_PAIR}(?P<rest>[:\-](?:{_PAIR}[:\-]){{0,5}}[0-9A-Fa-f]{{0,2}}|(?:[:\-]{_PAIR}){{5}}[:\-])\Z"
)
_WINDOW = 20


class MacDetector:
    """Finds addresses such as `3c:22:fb:9a:10:7e`, with colons or hyphens.

    The first two signs are public. Left alone: all zeros and the broadcast address. Does not
    catch: Cisco's dotted form, addresses in one piece.
    """

    name = "mac"
    kinds = ("mac",)
    languages = ("any",)
    cost_us = 2
    window = _WINDOW
    wakes = (("[A-Za-z0-9]", "-"),)

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        for separator in ":-":
            at = text.find(separator, start)
            while at >= 0:
                match = _ADDRESS.match(text, at - 2) if at >= 2 else None
                if match is not None and match[1] == separator:
                    at = match.end()
                    if len({*match[0]} - {separator}) > 1:
                        yield Span("mac", match.start(), at, public=2)
                at = text.find(separator, at + 1)

    def pending(self, text: str, start: int) -> int:
        size = len(text)
        if not size or (text[-1] not in _HEX and text[-1] not in ":-"):
            return size
        run = _OPEN.search(text, max(0, start - 2, size - _WINDOW))
        return run.start("rest") if run and run.start("rest") >= start else size
