"""Look-alike letters: a Cyrillic а in a Latin word is a mistake or a trick, and misleads a model.

Only words that mix scripts change. A word that is Cyrillic or Greek throughout stays, however
Latin it looks; so do Greek symbols at a word's edge (νmax, ρgh) and Cyrillic endings on Latin
names (iPhoneа) in Cyrillic text.
"""

import re

__all__ = ["is_suspect", "replace_lookalikes"]

_CYRILLIC_TO_LATIN = dict(
    zip("АВЕЅІЈКМНОРСТУХаеѕіјорсухһԁԛԝӏ", "ABESIJKMHOPCTYXaesijopcyxhdqwl", strict=True)
)
_GREEK_TO_LATIN = dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧαικνορυχϲϳ", "ABEZHIKMNOPTYXaikvopuxcj", strict=True))
_TO_LATIN = {**_CYRILLIC_TO_LATIN, **_GREEK_TO_LATIN}
_TO_CYRILLIC = dict(zip("ABEKMHOPCTYXaeopcyx", "АВЕКМНОРСТУХаеорсух", strict=True))
_LATIN_TABLE = str.maketrans(_TO_LATIN)
_CYRILLIC_TABLE = str.maketrans(_TO_CYRILLIC)

_CYRILLIC = r"\u0400-\u052f"
_GREEK = r"\u0370-\u03ff"
_LATIN = r"A-Za-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f"
_SUSPECT = re.compile(
    rf"[{_CYRILLIC}{_GREEK}](?:(?=[{_LATIN}])|(?<=[{_LATIN}][{_CYRILLIC}{_GREEK}]))"
)
_WORD = re.compile(rf"[{_LATIN}{_CYRILLIC}{_GREEK}]+")
_LATIN_LETTER = re.compile(f"[{_LATIN}]")
_OTHER_LETTER = re.compile(f"[{_CYRILLIC}{_GREEK}]")
_GREEK_LETTER = re.compile(f"[{_GREEK}]")
_CYRILLIC_WORD = re.compile(
    rf"(?<![{_LATIN}{_CYRILLIC}])[{_CYRILLIC}]{{2,}}(?![{_LATIN}{_CYRILLIC}])"
)


def is_suspect(text: str) -> bool:
    """Whether letters of different scripts stand side by side."""
    return not text.isascii() and _SUSPECT.search(text) is not None


def replace_lookalikes(text: str) -> tuple[str, int]:
    """The text with mixed-script words in one script, and how many letters changed."""
    if not is_suspect(text):
        return text, 0
    among_cyrillic = _CYRILLIC_WORD.search(text) is not None
    count = 0

    def one_script(match: re.Match[str]) -> str:
        nonlocal count
        word = match.group()
        mended = _mend(word, among_cyrillic=among_cyrillic)
        count += sum(a != b for a, b in zip(word, mended, strict=True))
        return mended

    return _WORD.sub(one_script, text), count


def _mend(word: str, *, among_cyrillic: bool) -> str:
    others = _OTHER_LETTER.findall(word)
    latin = len(word) - len(others)
    if not others or not latin:
        return word
    if all(letter in _TO_LATIN for letter in others):
        return word if _is_meant(word, latin, among_cyrillic) else word.translate(_LATIN_TABLE)
    # A Cyrillic word with Latin letters that all have a Cyrillic twin: the same trick, reversed.
    if (
        latin < len(others)
        and not _GREEK_LETTER.search(word)
        and all(letter in _TO_CYRILLIC for letter in _LATIN_LETTER.findall(word))
    ):
        return word.translate(_CYRILLIC_TABLE)
    return word


def _is_meant(word: str, latin: int, among_cyrillic: bool) -> bool:
    """Whether foreign letters in a Latin word look deliberate: a symbol or a grammatical ending."""
    at_edge = _OTHER_LETTER.match(word[0]) or _OTHER_LETTER.match(word[-1])
    if _GREEK_LETTER.search(word):
        return at_edge is not None or latin < 3
    # Kб, СО: too short to tell; iPhoneа: an ending.
    return latin < 2 or (among_cyrillic and at_edge is not None)
