"""Encoding damage (mojibake): text that was decoded with the wrong encoding, put right again.

Undone, also when it happened twice: UTF-8 read as Windows-1252 or Latin-1 (`Ã©`, `â€™`, `ä½ å¥½`),
UTF-8 read as Windows-1251 (`РїСЂРё`), UTF-8 read as GBK (`浣犲ソ`), GBK read as Latin-1 (`ÄãºÃ`).
Not undone: damage that lost bytes (`锟斤拷`, `?`), Shift JIS, Mac Roman, UTF-16 read as bytes.
"""

import re
from collections.abc import Callable, Iterable

__all__ = ["is_suspect", "repair_encoding"]


def _byte_of(encoding: str) -> dict[str, int]:
    """Which byte each character above ASCII came from; bytes without one came through as they are."""
    table = {chr(byte): byte for byte in range(0x80, 0x100)} if encoding == "cp1252" else {}
    for byte in range(0x80, 0x100):
        try:
            table[bytes([byte]).decode(encoding)] = byte
        except UnicodeDecodeError:
            table[chr(byte)] = byte
    return table


def _class(characters: Iterable[str]) -> str:
    return "".join(map(re.escape, characters))


_WESTERN = _byte_of("cp1252")
_CYRILLIC = _byte_of("cp1251")
_TAIL = _class([c for c, byte in _WESTERN.items() if 0x80 <= byte < 0xC0])
_CYRILLIC_TAIL = _class([c for c, byte in _CYRILLIC.items() if 0x80 <= byte < 0xC0])

_UTF8_AS_WESTERN = re.compile(
    rf"(?:[\u00c2-\u00df][{_TAIL}]|[\u00e0-\u00ef][{_TAIL}]{{2}}|[\u00f0-\u00f4][{_TAIL}]{{3}})+"
)
# What no language writes: Ã or Â before a symbol, a letter before a control character, a capital
# and a symbol within a word, letters of three and four bytes. Any of it proves the damage.
_PROOF = re.compile(
    r"\u00c3[\u00a0-\u00bf\u0152\u0160\u0161\u0178\u2030\u2039\u20ac\u0192]|\u00c2[\u00a0-\u00bf]"
    rf"|[\u00c2-\u00df][\u0080-\u009f]|(?<=[a-z])[\u00c3-\u00c5][{_TAIL}]"
    rf"|[\u00c3-\u00c5](?![\u2013\u2014\u2026])[{_TAIL}](?=[a-z])"
    r"|[\u00c4\u00c5][\u0192\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u02c6\u02dc\u2020\u2021\u2030\u2039\u20ac"
    r"\u00a1-\u00a8\u00aa\u00ac\u00af\u00b1-\u00ba\u00bc-\u00bf]"
    rf"|[\u00e0-\u00ef][{_TAIL}]{{2}}|[\u00f0-\u00f4][{_TAIL}]{{3}}"
)
# Pairs that prove nothing alone but do together; not those that end in what may follow any
# capital: quotation marks, dashes, dots, ™, ®, ©, °.
_PAIR = re.compile(
    rf"[\u00c2-\u00df](?![\u2013\u2014\u2018-\u201e\u2026\u2122\u203a\u00a9\u00ab\u00ae\u00b0\u00bb])[{_TAIL}]"
)
_LEAST_PAIRS = 3
_WESTERN_RUN = re.compile(rf"[\u00a0-\u00ff{_TAIL}]+")
_CYRILLIC_PROOF = re.compile(rf"(?:[РС][{_CYRILLIC_TAIL}]){{3,}}")
_UTF8_AS_CYRILLIC = re.compile(rf"(?:[РС][{_CYRILLIC_TAIL}])+")
# What the first two bytes of a common ideograph or kana become when read as GBK.
_GBK_LEADS = _class(
    bytes([lead, second]).decode("gbk")
    for lead in range(0xE3, 0xEA)
    for second in range(0x80, 0xC0)
)
_UTF8_AS_GBK = re.compile(f"[{_GBK_LEADS}]")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]{3,}")
_GBK_AS_WESTERN = re.compile(rf"[\u00a0-\u00ff{_TAIL}]{{6,}}")
_EAST_ASIAN = re.compile(r"[\u3040-\u30ff\u4e00-\u9fff]")
# GB 2312 level 1, the 3,755 common characters, as GBK bytes.
_COMMON_GBK = re.compile(rb"(?:[\xb0-\xd7][\xa1-\xfe])")

# One class first, so that a scan skips what cannot be damaged at a few nanoseconds a letter.
_SUSPECT = re.compile(
    rf"[\u00a1-\u00f7РС{_GBK_LEADS}](?:(?<=[{_GBK_LEADS}])|(?=[\u00a1-\u00fe{_TAIL}{_CYRILLIC_TAIL}]))"
)
_MOST_LAYERS = 3


def is_suspect(text: str) -> bool:
    """Whether `repair_encoding` would look closer."""
    return not text.isascii() and _SUSPECT.search(text) is not None


def repair_encoding(text: str) -> tuple[str, int]:
    """The text as it was meant, and how many damaged places were put right."""
    count = 0
    for _ in range(_MOST_LAYERS):
        if not is_suspect(text):
            break
        repaired, mended = _peel(text)
        if not mended:
            break
        text, count = repaired, count + mended
    return text, count


def _peel(text: str) -> tuple[str, int]:
    """One layer of damage undone."""
    count = 0

    def counted(repair: Callable[[str], str]) -> Callable[[re.Match[str]], str]:
        def replacement(match: re.Match[str]) -> str:
            nonlocal count
            damaged = match.group()
            mended = repair(damaged)
            count += mended != damaged
            return mended

        return replacement

    text = _GBK_AS_WESTERN.sub(counted(_from_gbk), text)
    if _PROOF.search(text) or len(_PAIR.findall(text)) >= _LEAST_PAIRS:
        text = _WESTERN_RUN.sub(counted(_from_western), text)
    if _CYRILLIC_PROOF.search(text):
        text = _UTF8_AS_CYRILLIC.sub(counted(_from_cyrillic), text)
    if _UTF8_AS_GBK.search(text):
        text = _NOT_ASCII.sub(counted(_reread_as_gbk), text)
    return text, count


def _from_western(run: str) -> str:
    """A run of characters above ASCII: all of it was UTF-8, but for quotes and dashes, or none."""
    rest = _UTF8_AS_WESTERN.sub("", run)
    if any(each.isalpha() or each < "\u00a0" for each in rest):
        return run
    return _UTF8_AS_WESTERN.sub(_utf8, run)


def _utf8(match: re.Match[str]) -> str:
    return _decoded(match.group(), _WESTERN, "utf-8") or match.group()


def _from_cyrillic(damaged: str) -> str:
    return _decoded(damaged, _CYRILLIC, "utf-8") or damaged


def _from_gbk(damaged: str) -> str:
    """GBK bytes read as Latin-1. What is also UTF-8 is far more often that."""
    if _decoded(damaged, _WESTERN, "utf-8") is not None:
        return damaged
    mended = _decoded(damaged, _WESTERN, "gbk")
    if mended is None or not _is_east_asian(mended):
        return damaged
    ideographs = _EAST_ASIAN.findall(mended)
    common = sum(_COMMON_GBK.fullmatch(each.encode("gbk")) is not None for each in ideographs)
    # Rows of one letter (ÉÉÉÉÉÉ) are valid GBK too, and Western words spell rare characters.
    meant = len(set(ideographs)) * 2 > len(ideographs) and common * 4 >= len(ideographs) * 3
    return mended if meant else damaged


def _reread_as_gbk(damaged: str) -> str:
    """UTF-8 bytes read as GBK; genuine Chinese is that by chance for a letter or two at most."""
    try:
        mended = damaged.encode("gbk").decode("utf-8")
    except UnicodeError:
        return damaged
    return mended if _is_east_asian(mended) else damaged


def _is_east_asian(text: str) -> bool:
    return len(_EAST_ASIAN.findall(text)) * 2 >= len(text)


def _decoded(damaged: str, byte_of: dict[str, int], encoding: str) -> str | None:
    try:
        return bytes([byte_of[each] for each in damaged]).decode(encoding)
    except (UnicodeDecodeError, KeyError):
        return None
