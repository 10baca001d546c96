"""Passwords in connection strings and other URLs, and signatures that open one to whoever has it."""

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
_SIGNED = r"(?<=[?&;])(?:sig|(?i:x-amz-signature|x-goog-signature))="
_SIGN = r"[A-Za-z0-9%+/_\-]"
_SIGNATURE = re.compile(rf"{_SIGNED}(?P<signature>{_SIGN}{{40,1024}}+={{0,2}})")
_OPEN_SIGNATURE = re.compile(rf"{_SIGNED}(?P<signature>{_SIGN}{{0,1024}}+={{0,2}})\Z")
_LONGEST_SIGNED = 18
_SIGNATURE_WINDOW = _LONGEST_SIGNED + 1024 + 3
_DUMMIES = frozenset(
    {"pass", "passwd", "password", "pwd", "secret", "your_password", "yourpassword", "xxx", "xxxx"}
)


class UrlPasswordDetector:
    """Finds the password in `postgres://user:password@host/…` and the signature in an address of
    Azure (`…&sig=…`), AWS or Google that lets whoever has it in; the rest of the URL stays.

    Does not catch: passwords with an unescaped `/`, `@`, `?` or `#`, connection strings of other
    shapes (`Server=…;Password=…`, see `assigned_secret`), placeholders such as `${PASSWORD}`,
    signatures under other names.
    """

    name = "url_password"
    kinds = ("secret",)
    languages = ("any",)
    cost_us = 1
    window = _SIGNATURE_WINDOW
    wakes = ()

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        at = max(0, start - _LONGEST_SIGNED)
        if text.find("=", at) >= 0:
            for match in _SIGNATURE.finditer(text, at):
                begin, end = match.span("signature")
                if begin >= start and _is_random(match["signature"]):
                    yield Span("secret", begin, end)
        at = max(0, start - _LONGEST_LEAD)
        if text.find("://", at) < 0:
            return
        for match in _URL.finditer(text, at):
            if match.start("password") >= start and _is_real(match["password"]):
                yield Span("secret", *match.span("password"))

    def pending(self, text: str, start: int) -> int:
        size = len(text)
        waits = self._pending_signature(text, start)
        at = max(0, start - _LONGEST_LEAD, size - _WINDOW)
        if text.find("://", at) < 0:
            return waits
        while match := _OPEN.search(text, at):
            if match.start("password") >= start:
                return min(waits, match.start("password"))
            at = match.start() + 1
        return waits

    def _pending_signature(self, text: str, start: int) -> int:
        size = len(text)
        at = max(0, start - _LONGEST_SIGNED, size - _SIGNATURE_WINDOW)
        if text.find("=", at) < 0:
            return size
        while match := _OPEN_SIGNATURE.search(text, at):
            if match.start("signature") >= start:
                return match.start("signature")
            at = match.start() + 1
        return size


def _is_real(password: str) -> bool:
    return password[0] not in "${%*[" and password.lower() not in _DUMMIES


def _is_random(signature: str) -> bool:
    """Not a row of x, nor words: 32 bytes have digits and capitals, or are hexadecimal."""
    return len(set(signature)) >= 12 and any(char.isdigit() for char in signature)
