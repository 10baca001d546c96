"""Long random strings near a word for a key, where nothing assigns them; and Azure's, which say so."""

import re
import string
from collections.abc import Iterator

from headrace.screening.detectors.assigned_secret import entropy_bits
from headrace.screening.finding import Span

__all__ = ["HighEntropyDetector"]

_LETTER = r"[A-Za-z0-9_+/=\-]"
_HEAD = re.compile(rf"[0-9](?<![0-9][0-9])(?={_LETTER}{{15}})")
_RUN = re.compile(r"[0-9]+")
_TOKEN = re.compile(rf"{_LETTER}{{24,256}}+")
_LONGEST_LEAD = 24
_LETTERS = string.ascii_letters + string.digits + "_+/=-"
_WINDOW = 257
_REACH = 64
_SAYS = re.compile(
    r"(?i)(?:(?<![a-z])(?:api|access|secret|private|signing|encryption|master|deploy|account|shared|client|webhook)[ _\-]?"
    r"(?:key|token|secret|credential)s?|(?<![a-z])(?:token|secret|credentials?|bearer|password|passphrase|hmac|sas)(?![a-z])"
    r"|密钥|令牌|口令|私钥|密码|凭证)[^\n]{0,32}\Z"
)
_STEMS = (
    *("key", "token", "secret", "credential", "bearer", "password", "passphrase", "hmac", "sas"),
    *("密钥", "令牌", "口令", "私钥", "密码", "凭证"),
)
"""Each of the above has one of them: a cheap look first."""
_NO_SECRET = re.compile(
    r"(?i)(?<![a-z])(?:sha-?\d*|md5|checksum|hash|digest|commit|revision|etag|uuid|guid|fingerprint|integrity|public key"
    r"|trace|request|session id|image)(?![a-z])|哈希|校验|提交"
)
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_HEX_ONLY = re.compile(r"([0-9a-fA-F]+)(?:-us[0-9]{1,2})?")
"""Mailchimp's keys end in the name of its data centre."""
_AZURE = re.compile(
    r"(?:[A-Za-z0-9+/]{76}\+ASt[A-Za-z0-9+/]{5}[AQgw]==|[A-Za-z0-9]{76}ACDb[A-Za-z0-9]{5}[AQgw]=="
    r"|[A-Za-z0-9+/]{33}(?:\+ASb|\+AEh|AIoT)[A-Za-z0-9+/]{5}=|[A-Za-z0-9]{33}AzCa[A-P][A-Za-z0-9]{5}="
    r"|[A-Za-z0-9_\-]{44}AzFu[A-Za-z0-9_\-]{5}[AQgw]==|[A-Za-z0-9]{42}AzSe[A-D][A-Za-z0-9]{5})\Z"
)
"""Keys of Azure's storage, Cosmos DB, Service Bus, Event Hubs, IoT, Redis, Functions and Search have a mark
at a fixed place, so that scanners know them."""


class HighEntropyDetector:
    """Finds 24 letters and digits or more that look random, within a line of a word such as "key".

    Hexadecimal strings need 3 bits of entropy a sign and 32 signs, others 3.8 bits. Letters before
    the first digit are public. Keys of Azure with its mark need no word. Left alone: checksums,
    commits, UUIDs, paths. Does not catch: strings without a digit among their first 24 signs, others
    that nothing names.
    """

    name = "high_entropy"
    kinds = ("secret",)
    languages = ("en", "zh")
    cost_us = 5
    window = _WINDOW
    wakes = ()
    is_numeric = True

    def detect(self, text: str, start: int = 0) -> Iterator[Span]:
        floor = start
        for head in _HEAD.finditer(text, start):
            at = head.start()
            if at < floor:
                continue
            begin = _token_begin(text, at)
            match = _TOKEN.match(text, begin) if begin >= 0 else None
            if match is None:
                continue
            is_azure = _AZURE.search(match[0]) is not None
            if is_azure or (_is_secret(match[0]) and _is_named(text, begin)):
                yield Span("secret", begin, match.end(), 0.9, public=at - begin)
                floor = match.end()

    def pending(self, text: str, start: int) -> int:
        size = len(text)
        tail = text[max(start, size - _WINDOW) :]
        at = size - len(tail) + len(tail.rstrip(_LETTERS))
        while run := _RUN.search(text, at):
            begin = _token_begin(text, run.start())
            if begin >= 0:
                return run.start()
            at = run.end()
        return size


def _token_begin(text: str, at: int) -> int:
    """Where the token begins whose first digit is at `at`; -1 when an earlier sign is a digit."""
    begin = at
    while (
        begin
        and at - begin <= _LONGEST_LEAD
        and (
            text[begin - 1] in "_+/=-" or (text[begin - 1].isascii() and text[begin - 1].isalpha())
        )
    ):
        begin -= 1
    if at - begin > _LONGEST_LEAD or text[begin - 1 : begin].isdecimal():
        return -1
    while begin < at and text[begin] in "=-+/_":
        begin += 1
    return begin


def _is_named(text: str, begin: int) -> bool:
    before = text[max(0, begin - _REACH) : begin]
    lowered = before.lower()
    if not any(stem in lowered for stem in _STEMS):
        return False
    return _SAYS.search(before) is not None and _NO_SECRET.search(before) is None


def _is_secret(token: str) -> bool:
    if "//" in token or token.count("/") > 3 or _UUID.fullmatch(token):
        return False
    body = token.rstrip("=")
    if plain := _HEX_ONLY.fullmatch(body):
        return len(plain[1]) >= 32 and entropy_bits(plain[1]) >= 3.0
    words = sum(part.isalpha() and len(part) > 3 for part in re.split(r"[-_/]", body))
    return words < 2 and any(c.isalpha() for c in body) and entropy_bits(body) >= 3.8
