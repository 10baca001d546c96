"""Bytes to text: byte order marks, UTF-8, then the old encodings by their own evidence.

An old encoding is chosen by the share of common characters, so a short text may be taken for
another; the choice stands in the document's metadata as `encoding`. Chinese, Japanese and Western
European encodings are told apart; others, such as Korean and Cyrillic ones, must be named.
"""

import codecs
import re
from contextlib import suppress

from headrace.knowledge.errors import UnreadableDocument

__all__ = ["charset", "decode"]

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_COMMON = frozenset(
    "的一是不了在人有我他这中大来上国和地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里"
    "用道行所然家种事成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心本前开但因只从"
    "這國來時們為說個會對後過發裡經學現當沒動還進樣開從無與應該資料庫文件数据，。、：；！？「」（）"
)
_CHARSET = re.compile(r"charset\s*+=\s*+[\"']?([\w.:-]{2,20})", re.IGNORECASE)
_NAMES = re.compile(
    r"utf-?8|utf-?16(?:le|be)?|gbk|gb2312|gb18030|big5(?:-hkscs)?|(?:shift[_-]jis|sjis|x-sjis)"
    r"|euc-(?:jp|kr|tw)|iso-2022-jp|iso-8859-\d{1,2}|latin-?1|(?:windows-|cp)\d{3,4}|koi8-[ru]|us-ascii"
)
"""Encodings of texts. Python knows others that unpack, or take quadratic time."""
_WIDER = {
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso-8859-1": "",
    "latin1": "",
    "latin-1": "",
    "us-ascii": "",
    "x-sjis": "cp932",
    "shift_jis": "cp932",
    "big5": "big5hkscs",
}
"""What is written under these names, as browsers see it; many servers say Latin-1 of everything."""
_JAPANESE = ("shift_jis", "euc_jp")
_SAMPLE = 65_536
_LEAST = 0.12


def charset(said: str) -> str:
    """The encoding that a media type or a `<meta>` names; empty where it is none of texts."""
    found = _CHARSET.search(said)
    name = found[1].lower() if found else ""
    return _WIDER.get(name, name) if _NAMES.fullmatch(name) else ""


def decode(data: bytes, uri: str, named: str = "") -> tuple[str, str]:
    """The text with `\\n` as line ends, and the encoding it was in.

    Args:
        named: what the source says of itself; believed where all its bytes agree.

    Raises:
        UnreadableDocument: nothing in it, or binary content.
    """
    text, encoding = _decoded(data, uri, named)
    if "\x00" in text:
        raise _binary(uri)
    if not text.strip("\ufeff \t\r\n"):
        raise UnreadableDocument(f"{uri}: empty", hint="leave it out, or fill it")
    return text.replace("\r\n", "\n").replace("\r", "\n"), encoding


def _decoded(data: bytes, uri: str, named: str) -> tuple[str, str]:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                return data.decode(encoding), encoding
            except UnicodeDecodeError as error:
                raise UnreadableDocument(
                    f"{uri}: byte {error.start} is not valid {encoding}, which its mark promises",
                    hint="save the file as UTF-8",
                ) from error
    if named:
        with suppress(UnicodeDecodeError, LookupError):  # decided by evidence instead
            return data.decode(named), named
    controls = sum(byte < 9 or 13 < byte < 32 for byte in data[:_SAMPLE])
    if b"\x00" in data[:_SAMPLE] or controls * 50 > len(data[:_SAMPLE]):
        raise _binary(uri)
    try:
        return data.decode("utf-8"), "utf-8"
    except UnicodeDecodeError:
        return _old(data)


def _old(data: bytes) -> tuple[str, str]:
    best, score = "cp1252", _LEAST
    for encoding in ("gb18030", "big5", "shift_jis", "euc_jp"):
        try:
            # Incremental: the sample may end within a character.
            sample = codecs.getincrementaldecoder(encoding)().decode(data[:_SAMPLE])
        except UnicodeDecodeError:
            continue
        if (found := _likeness(sample, is_japanese=encoding in _JAPANESE)) > score:
            best, score = encoding, found
    return data.decode(best, "replace"), best


def _likeness(text: str, *, is_japanese: bool) -> float:
    """The share of common characters among those beyond ASCII."""
    wide = [sign for sign in text if sign > "\x7f"]
    common = sum(sign in _COMMON or (is_japanese and "\u3041" <= sign <= "\u30fc") for sign in wide)
    return common / len(wide) if wide else 0.0


def _binary(uri: str) -> UnreadableDocument:
    return UnreadableDocument(
        f"{uri}: binary content where text was expected",
        hint="give the file the ending of its real format, or leave it out",
    )
