"""Private keys in PEM form."""

import re
from collections.abc import Iterator

from headrace.screening.finding import Span

__all__ = ["PrivateKeyDetector"]

_HEAD = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,12} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_LONGEST_HEAD = 80
_GAP = re.compile(r"(?:\s|\\[nr])*+")
"""Line ends, also as a program or JSON writes them."""
_FIELD = re.compile(r"[A-Za-z\-]{3,16}: [^\n\\]{0,80}(?=\n|\\n)")
_FIELD_OPEN = re.compile(r"[A-Za-z\-]{1,16}(?::(?: [^\n\\]{0,80}\\?)?)?\Z")
_WORD = re.compile(r"[A-Za-z0-9+/=]{1,8192}")
_END = re.compile(r"-----END [A-Z0-9 ]{1,40}-----")
_END_OPEN = re.compile(r"(?:-{0,5}|-----(?:E|EN|END|END [A-Z0-9 ]{0,40}-{0,4}))\Z")
_MOST_FIELDS = 12
_SHORTEST_WORD = 16
_WINDOW = 16_384


class PrivateKeyDetector:
    """Finds private keys (PKCS#1, PKCS#8, EC, OpenSSH, PGP) from their first line to their last.

    The first line is public and stays. Without a last line everything that still looks like key
    is taken. Does not catch: keys without PEM lines, DER, PuTTY's format.
    """

    name = "private_key"
    kinds = ("secret",)
    languages = ("any",)
    cost_us = 1
    window = _WINDOW
    wakes = (("-", "-"),)

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        at = max(0, start - _LONGEST_HEAD)
        if text.find("-----BEGIN", at) < 0:
            return
        while head := _HEAD.search(text, at):
            at = head.end()
            if at < start:
                continue
            end, _ = _read(text, at)
            if end > at:
                yield Span("secret", head.start(), end, public=at - head.start())
                at = end

    def pending(self, text: str, start: int) -> int:
        at = max(0, start - _LONGEST_HEAD)
        if text.find("-----BEGIN", at) < 0:
            return len(text)
        while head := _HEAD.search(text, at):
            at = head.end()
            if at >= start:
                end, is_open = _read(text, at)
                if is_open:
                    return at
                at = max(at, end)
        return len(text)


def _read(text: str, begin: int) -> tuple[int, bool]:
    """Where the key that begins here ends, and whether more text could move that end."""
    end = at = begin
    stop = begin + _WINDOW
    fields = _MOST_FIELDS
    while at < stop:
        at = _skip_gap(text, at)
        if last := _END.match(text, at):
            return (last.end() if end > begin else end), False
        if _END_OPEN.match(text, at):
            return end, True
        if fields and (field := _FIELD.match(text, at)):
            at = field.end()
            fields -= 1
            continue
        word = _WORD.match(text, at)
        if word is None:
            return end, fields > 0 and _FIELD_OPEN.match(text, at) is not None
        if word.end() == len(text):
            return (word.end() if _is_key(word) else end), True
        at = word.end()
        if _is_key(word):
            end, fields = at, 0
            continue
        # A short last line counts only when the end line follows.
        at = _skip_gap(text, at)
        if last := _END.match(text, at):
            return last.end(), False
        if _END_OPEN.match(text, at):
            return end, True
        return end, fields > 0 and _FIELD_OPEN.match(text, word.start()) is not None
    return end, False


def _skip_gap(text: str, at: int) -> int:
    gap = _GAP.match(text, at)
    return gap.end() if gap else at


def _is_key(word: re.Match[str]) -> bool:
    return word.end() - word.start() >= _SHORTEST_WORD
