"""Passwords and keys that the text itself names: `password = …`, `api_key: "…"`, `密码是…`."""

import math
import re
import string
from collections import Counter
from collections.abc import Iterator

from headrace.screening.detectors.term import fold
from headrace.screening.finding import Span

__all__ = ["AssignedSecretDetector", "entropy_bits", "is_secret"]

_HEADS = (
    *(
        "pass",
        "pwd",
        "secret",
        "token",
        "auth",
        "access",
        "api",
        "account",
        "private",
        "credential",
        "signing",
        "encryption",
        "master",
        "deploy",
        "webhook",
    ),
    *("密码", "口令", "密钥", "令牌"),
)
"""How the words in front begin: looked for first, because that is cheap."""

_LEAD = (
    r"(?i:(?P<password>passw(?:or)?d|passphrase|passcode|(?<![a-z])pass|(?<![a-z])pwd|密码|口令)"
    r"|secret|(?<![a-z])token|auth[_\-]?token|access[_\-]?token|api[_\- ]?key|access[_\- ]?key"
    r"|account[_\- ]?key|private[_\- ]?key|secret[_\- ]?key|authorization|credentials?"
    r"|(?:signing|encryption|master|deploy|webhook)[_\- ]?key|密钥|令牌)"
    r"(?i:[_\-]?(?:id|key|hash|value))?[\"'`]?\s{0,3}+"
    r"(?:[:=：＝]=?>?|=>|(?i:\bis\b)|是|为)\s{0,3}+(?i:bearer\s|basic\s)?[\"'`]?"
)
_LONGEST_LEAD = 64
_LETTER = r"[A-Za-z0-9!@#$%^&*_+\-./~?]"
_ASSIGNED = re.compile(rf"{_LEAD}(?P<value>{_LETTER}{{6,256}}+={{0,2}})(?!{_LETTER}|[(\[])")
_OPEN = re.compile(rf"{_LEAD}(?P<value>{_LETTER}{{0,256}}+={{0,2}})\Z")
_VALUE_LETTERS = string.ascii_letters + string.digits + "!@#$%^&*_+-./~?="
_WINDOW = _LONGEST_LEAD + 260


class AssignedSecretDetector:
    """Finds the value that follows a word for "password", "key" or "token" and looks random.

    Behind a word for "password": six characters or more with a digit or sign among them. Behind
    any other: sixteen or more with letters and digits and at least 3 bits of entropy each. Does
    not catch: passwords made of plain words, with spaces, or told in other languages than
    English and Chinese; calls and paths are left alone on purpose.
    """

    name = "assigned_secret"
    kinds = ("secret",)
    languages = ("en", "zh")
    cost_us = 9
    window = _WINDOW
    wakes = (
        (r"\b[iI]", "sS"),
        ("", "是为"),
        ("[bB][eE][aA][rR][eE][rR]", " \n"),
        ("[bB][aA][sS][iI][cC]", " \n"),
    )
    """Words for the equals sign, and what may stand behind it."""

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        floor = start
        for head in _heads(text, max(0, start - _LONGEST_LEAD)):
            match = _ASSIGNED.match(text, head)
            if match is None or match.start("value") < floor:
                continue
            begin, floor = match.span("value")
            value = match["value"].rstrip(".?")
            if is_secret(value, password=match["password"] is not None):
                yield Span("secret", begin, begin + len(value))

    def pending(self, text: str, start: int) -> int:
        size = len(text)
        value = size - len(text[-_WINDOW:].rstrip(_VALUE_LETTERS)) - max(0, size - _WINDOW)
        at = max(0, start - _LONGEST_LEAD, size - _WINDOW, size - value - _LONGEST_LEAD)
        for head in _heads(text, at):
            match = _OPEN.match(text, head)
            if match is not None and match.start("value") >= start:
                return match.start("value")
        return len(text)


def _heads(text: str, start: int) -> list[int]:
    """Where a word for "password", "key" or the like may begin, in order."""
    lowered = text[start:].lower()
    if len(lowered) != len(text) - start:
        lowered = fold(text[start:])
    found: list[int] = []
    for head in _HEADS:
        at = lowered.find(head)
        while at >= 0:
            found.append(start + at)
            at = lowered.find(head, at + 1)
    found.sort()
    return found


def is_secret(value: str, *, password: bool) -> bool:
    """Whether what stands where a password or a key belongs is one, and no word, path or name."""
    is_path = value.startswith("/") and not value.endswith("=")
    if is_path or value.startswith(("./", "../", "http:", "https:", "$")) or len(set(value)) < 4:
        return False
    digits = any(char.isdigit() for char in value)
    letters = any(char.isalpha() for char in value)
    if password:
        return len(value) >= 6 and (digits or any(char in "!@#$%^&*+~?" for char in value))
    return len(value) >= 16 and digits and letters and entropy_bits(value) >= 3.0


def entropy_bits(text: str) -> float:
    """Shannon entropy per character, in bits."""
    size = len(text)
    return -sum(n / size * math.log2(n / size) for n in Counter(text).values())
