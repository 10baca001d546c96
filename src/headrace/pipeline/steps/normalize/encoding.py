"""Encoding damage (mojibake): text that was decoded with the wrong encoding, put right again.

Undone, also when it happened twice: UTF-8 read as Windows-1252 or Latin-1 (`Ã©`, `â€™`, `ä½ å¥½`),
UTF-8 read as Windows-1251 (`РїСЂРё`), UTF-8 read as GBK (`浣犲ソ`), GBK read as Latin-1 (`ÄãºÃ`).
Not undone: damage that lost bytes (`锟斤拷`, `?`), Shift JIS, Mac Roman, UTF-16 read as bytes.
"""

import re

__all__ = ["SUSPECTS", "repair_encoding"]


def _byte_of(encoding: str) -> dict[str, int]:
    """Which byte each character above ASCII came from; bytes without one came through as they are."""
    table = {chr(byte): byte for byte in range(0x80, 0x100)} if encoding == "cp1252" else {}
    for byte in range(0x80, 0x100):
        try:
            table[bytes([byte]).decode(encoding)] = byte
        except UnicodeDecodeError:
            table[chr(byte)] = byte
    return table


def _class(characters: object) -> str:
    return "".join(re.escape(each) for each in characters)  # type: ignore[attr-defined]


_WESTERN = _byte_of("cp1252")
_CYRILLIC = _byte_of("cp1251")
_TAIL = _class([c for c, byte in _WESTERN.items() if 0x80 <= byte < 0xC0])
_CYRILLIC_TAIL = _class([c for c, byte in _CYRILLIC.items() if 0x80 <= byte < 0xC0])

_UTF8_AS_WESTERN = re.compile(
    rf"(?:[\u00c2-\u00df][{_TAIL}]|[\u00e0-\u00ef][{_TAIL}]{{2}}|[\u00f0-\u00f4][{_TAIL}]{{3}})+"
)
# One such pair alone proves it: capital A with tilde or circumflex before a symbol is no word.
_PROOF = re.compile(
    rf"\u00c3[\u0080-\u00bf\u0152\u0160\u0161\u0178\u2030\u2039\u20ac\u0192]|\u00c2[\u00a0-\u00bf]"
    rf"|[\u00e0-\u00ef][{_TAIL}]{{2}}|[\u00f0-\u00f4][{_TAIL}]{{3}}"
)
_LEAST_PAIRS = 3
_UTF8_AS_CYRILLIC = re.compile(rf"(?:[РС][{_CYRILLIC_TAIL}]){{3,}}")
# What the first two bytes of a common ideograph become when read as GBK.
_GBK_LEADS = _class(
    [
        bytes([lead, second]).decode("gbk")
        for lead in range(0xE4, 0xEA)
        for second in range(0x80, 0xC0)
    ]
)
_UTF8_AS_GBK = re.compile(f"[{_GBK_LEADS}]")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]{3,}")
_GBK_AS_WESTERN = re.compile(
    r"(?:[\u00b0-\u00d7][\u00a1-\u00fe]|[\u00a1\u00a3][\u00a1-\u00fe]){3,}"
)
_IDEOGRAPHS = re.compile(r"[\u4e00-\u9fff]")

SUSPECTS = (
    rf"[\u00c2-\u00df][{_TAIL}]|[\u00e0-\u00ef][{_TAIL}]{{2}}|[\u00f0-\u00f4][{_TAIL}]{{3}}"
    rf"|[РС][{_CYRILLIC_TAIL}][РС][{_CYRILLIC_TAIL}]|[{_GBK_LEADS}]|[\u00b0-\u00d7][\u00a1-\u00fe]{{3}}"
)
"""A regular expression: what may be damaged."""

_SUSPECT = re.compile(SUSPECTS)
_MOST_LAYERS = 3


def repair_encoding(text: str) -> tuple[str, int]:
    """The text as it was meant, and how many damaged places were put right."""
    if text.isascii():
        return text, 0
    count = 0
    for _ in range(_MOST_LAYERS):
        if _SUSPECT.search(text) is None:
            break
        repaired, mended = _peel(text)
        if not mended:
            break
        text, count = repaired, count + mended
    return text, count


def _peel(text: str) -> tuple[str, int]:
    """One layer of damage undone."""
    count = 0

    def western(match: re.Match[str]) -> str:
        nonlocal count
        mended = _decoded(match.group(), _WESTERN, "utf-8")
        count += mended != match.group()
        return mended

    def cyrillic(match: re.Match[str]) -> str:
        nonlocal count
        mended = _decoded(match.group(), _CYRILLIC, "utf-8")
        count += mended != match.group()
        return mended

    def chinese(match: re.Match[str]) -> str:
        nonlocal count
        mended = _decoded(match.group(), _WESTERN, "gbk")
        # Windows-1252 text can be valid GBK by chance; then it hardly ever spells ideographs only.
        if len(_IDEOGRAPHS.findall(mended)) * 2 < len(mended):
            return match.group()
        count += mended != match.group()
        return mended

    def from_gbk(match: re.Match[str]) -> str:
        nonlocal count
        mended = _reread(match.group())
        count += mended != match.group()
        return mended

    if _PROOF.search(text) or _pairs(text) >= _LEAST_PAIRS:
        text = _UTF8_AS_WESTERN.sub(western, text)
    if not count:
        text = _GBK_AS_WESTERN.sub(chinese, text)
    text = _UTF8_AS_CYRILLIC.sub(cyrillic, text)
    if _UTF8_AS_GBK.search(text):
        text = _NOT_ASCII.sub(from_gbk, text)
    return text, count


def _pairs(text: str) -> int:
    return sum(len(each) // 2 for each in _UTF8_AS_WESTERN.findall(text))


def _decoded(damaged: str, byte_of: dict[str, int], encoding: str) -> str:
    try:
        return bytes([byte_of[each] for each in damaged]).decode(encoding)
    except (UnicodeDecodeError, KeyError):
        return damaged


def _reread(damaged: str) -> str:
    """Written in GBK and read as UTF-8; valid by chance only for texts of a letter or two."""
    try:
        mended = damaged.encode("gbk").decode("utf-8")
    except UnicodeError:
        return damaged
    return mended if len(_IDEOGRAPHS.findall(mended)) * 2 >= len(mended) else damaged
