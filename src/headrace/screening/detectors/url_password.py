"""Passwords in connection strings and other URLs."""

import re
from collections.abc import Iterator

from headrace.screening.finding import Span

__all__ = ["UrlPasswordDetector"]

_LEAD = r"(?<![A-Za-z0-9+.\-])[A-Za-z][A-Za-z0-9+.\-]{1,20}+://[^\s:/@?#\"'<>]{0,128}+:"
_LONGEST_LEAD = 160
_LETTER = r"[^\s/@?#\"'<>]"
_URL = re.compile(rf"{_LEAD}(?P<password>{_LETTER}{{1,256}}+)@(?=[A-Za-z0-9\[])")
_OPEN = re.compile(rf"{_LEAD}(?P<password>{_LETTER}{{0,256}}+)@?\Z")
_WINDOW = _LONGEST_LEAD + 260
_DUMMIES = frozenset(
    {"pass", "passwd", "password", "pwd", "secret", "your_password", "yourpassword", "xxx", "xxxx"}
)


class UrlPasswordDetector:
    """Finds the password in `postgres://user:password@host/…`; the rest of the URL stays.

    Does not catch: passwords with an unescaped `/`, `@`, `?` or `#`, connection strings of other
    shapes (`Server=…;Password=…`, see `assigned_secret`), placeholders such as `${PASSWORD}`.
    """

    name = "url_password"
    kinds = ("secret",)
    languages = ("any",)
    cost_us = 1
    window = _WINDOW
    wakes = ()

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        at = max(0, start - _LONGEST_LEAD)
        if text.find("://", at) < 0:
            return
        for match in _URL.finditer(text, at):
            if match.start("password") >= start and _is_real(match["password"]):
                yield Span("secret", *match.span("password"))

    def pending(self, text: str, start: int) -> int:
        at = max(0, start - _LONGEST_LEAD, len(text) - _WINDOW)
        if text.find("://", at) < 0:
            return len(text)
        while match := _OPEN.search(text, at):
            if match.start("password") >= start:
                return match.start("password")
            at = match.start() + 1
        return len(text)


def _is_real(password: str) -> bool:
    return password[0] not in "${%*[" and password.lower() not in _DUMMIES
