"""Unicode normalisation: NFC everywhere, compatibility forms (NFKC) where meaning survives.

Plain NFKC would turn x² into x2, ½ into 1⁄2, ™ into TM and Chinese punctuation into ASCII. So
only these forms change: full-width letters and digits (punctuation only in lines without CJK
text), half-width katakana and hangul, typographic ligatures, Arabic presentation forms, radicals
copied out of PDF files, and words written in mathematical or circled alphabets.
"""

import re
import unicodedata

__all__ = ["compose", "is_suspect", "replace_compatibility"]

_COMPATIBILITY_IDEOGRAPHS = r"\uf900-\ufaff\U0002f800-\U0002fa1f"
_CJK = (
    r"\u2e80-\u2fdf\u3001-\u303f\u3041-\u30ff\u3105-\u312f\u3131-\u318e\u31c0-\u9fff"
    r"\uac00-\ud7a3\uf900-\ufaff\uff66-\uff9d\U00020000-\U0003ffff"
)
_STYLED = (
    r"\u2100-\u2115\u2119-\u211d\u2124\u2128-\u2131\u2133\u2134"
    r"\U0001d400-\U0001d6a3\U0001d7ce-\U0001d7ff\u249c-\u24e9\U0001f110-\U0001f169\U0001f170-\U0001f189"
)
_FORMS = (
    r"\u0132\u0133\u01c4-\u01cc\u01f1-\u01f3\u2f00-\u2fdf\ufb00-\ufb06\ufb13-\ufb17\ufb1d-\ufb4f"
    r"\ufb50-\ufdef\ufdf5-\ufdfc\ufe70-\ufefc\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\uff61-\uffdc"
    + _STYLED
)
_WIDE = r"\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff5e\u3000"
_ALWAYS = re.compile(
    r"[\uff10-\uff19\uff21-\uff3a\uff41-\uff5a\ufb00-\ufb06\ufb13-\ufb17\ufb1d-\ufb4f\ufe70-\ufefc"
    r"\uff61-\uff9f\uffa0-\uffdc\u0132\u0133\u01c4-\u01cc\u01f1-\u01f3]+"
    r"|[\ufb50-\ufdef]+"
)
_WIDE_SYMBOL = re.compile(f"[{_WIDE}]+")
# In a line of CJK text only symbols inside an address, a number or a formula lose their width.
_WIDE_INSIDE_LATIN = re.compile(
    r"(?<=[A-Za-z0-9])[\uff03\uff05\uff06\uff0b\uff0d-\uff0f\uff1d\uff20\uff3f](?=[A-Za-z0-9])"
)
_RADICAL_BESIDE_HAN = re.compile(
    r"(?:(?<=[\u3400-\u9fff])[\u2f00-\u2fd5]+|[\u2f00-\u2fd5]+(?=[\u3400-\u9fff\u2f00-\u2fd5]))"
)
_STYLED_WORD = re.compile(rf"[{_STYLED}](?:[{_STYLED}\s'’-]{{0,200}}[{_STYLED}])")
_LATIN = re.compile(r"[A-Za-z0-9\uff10-\uff19\uff21-\uff3a\uff41-\uff5a]")
_LINE_WITH_CJK = re.compile(f"[{_CJK}]")
_SUSPECT = re.compile(f"[{_FORMS}]")
_STYLED_LETTER = re.compile(f"[{_STYLED}]")
_LEAST_STYLED = 3
"""Letters that make a styled word: fewer are a formula's 𝑥 or a mark like Ⓐ, and stay."""


def is_suspect(text: str) -> bool:
    """Whether `compose` or `replace_compatibility` has work."""
    if text.isascii():
        return False
    return (
        _SUSPECT.search(text) is not None
        or not unicodedata.is_normalized("NFC", text)
        or (_WIDE_SYMBOL.search(text) is not None and any(map(_has_wide, text.split("\n"))))
    )


def _has_wide(line: str) -> bool:
    """Whether a full-width symbol in this line loses its width."""
    return _wide_in(line).search(line) is not None


def _wide_in(line: str) -> re.Pattern[str]:
    """What loses its width in this line: all symbols where it is Latin, few where it is not."""
    if _LATIN.search(line) is None:
        return _WIDE_INSIDE_LATIN
    return _WIDE_INSIDE_LATIN if _LINE_WITH_CJK.search(line) else _WIDE_SYMBOL


def compose(text: str) -> tuple[str, int]:
    """NFC, but for compatibility ideographs: in names they are chosen, and NFC would unify them."""
    if text.isascii() or unicodedata.is_normalized("NFC", text):
        return text, 0
    composed = re.sub(
        f"[^{_COMPATIBILITY_IDEOGRAPHS}]+",
        lambda match: unicodedata.normalize("NFC", match.group()),
        text,
    )
    return composed, int(composed != text) and max(1, len(text) - len(composed))


def replace_compatibility(text: str) -> tuple[str, int]:
    """The text with compatibility forms replaced, and how many characters that were."""
    if not is_suspect(text):
        return text, 0
    count = 0

    def plain(match: re.Match[str]) -> str:
        nonlocal count
        form = match.group()
        replaced = unicodedata.normalize("NFKC", form)
        if replaced != form:
            count += len(form)
        return replaced

    def plain_word(match: re.Match[str]) -> str:
        if len(_STYLED_LETTER.findall(match.group())) < _LEAST_STYLED:
            return match.group()
        return _STYLED_LETTER.sub(_unstyled, plain(match))

    text = _ALWAYS.sub(plain, text)
    text = _RADICAL_BESIDE_HAN.sub(plain, text)
    text = _STYLED_WORD.sub(plain_word, text)
    lines = text.split("\n")
    for at, line in enumerate(lines):
        lines[at] = _wide_in(line).sub(plain, line)
    return "\n".join(lines), count


def _unstyled(match: re.Match[str]) -> str:
    """Letters in squares, which NFKC leaves as they are or puts in brackets."""
    code = ord(match.group())
    for first in (0x1F130, 0x1F150, 0x1F170):
        if first <= code < first + 26:
            return chr(ord("A") + code - first)
    return match.group()
