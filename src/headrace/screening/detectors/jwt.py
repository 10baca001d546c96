"""JSON Web Tokens."""

import re
from collections.abc import Iterator

from headrace.screening.finding import Span

__all__ = ["JwtDetector"]

_PART = r"[A-Za-z0-9_\-]"
_TOKEN = re.compile(
    rf"(?<![A-Za-z0-9_.\-])eyJ{_PART}{{10,1024}}+\.{_PART}{{10,6144}}+(?:\.{_PART}{{0,2048}}+){{0,3}}"
)
_OPEN = re.compile(
    rf"(?<![A-Za-z0-9_.\-])eyJ{_PART}{{0,1024}}+(?:\.{_PART}{{0,6144}}+(?:\.{_PART}{{0,2048}}+){{0,3}})?\Z"
)
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-"
_WINDOW = 3 + 1024 + 1 + 6144 + 3 * 2049 + 1


class JwtDetector:
    """Finds signed (JWS) and encrypted (JWE) tokens in compact form; `eyJ` in front stays.

    Does not catch: tokens whose header does not begin with `{"`, or broken over lines.
    """

    name = "jwt"
    kinds = ("secret",)
    languages = ("any",)
    cost_us = 1
    window = _WINDOW
    wakes = (("ey", "J"),)

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        at = max(0, start - 3)
        if text.find("eyJ", at) < 0:
            return
        for match in _TOKEN.finditer(text, at):
            if match.start() + 3 >= start:
                yield Span("secret", match.start(), match.end(), public=3)

    def pending(self, text: str, start: int) -> int:
        size = len(text)
        if not size or text[-1] not in _LETTERS:
            return size
        at = text.find("eyJ", max(0, start - 3, size - _WINDOW))
        while at >= 0:
            if _OPEN.match(text, at) and at + 3 >= start:
                return at + 3
            at = text.find("eyJ", at + 1)
        return size
