"""What a text says when it is read as somebody may have hidden it.

Invisible characters, accents on accents, set-apart and leetspeak letters, reversed text, base64,
base32, hex, percent and backslash escapes, binary, Morse, rot13 and Atbash. Each view is made in
linear time, and all together they are at most a few times as long as the text. One layer, and of
base64 in base64 two.
"""

import base64
import binascii
import codecs
import itertools
import re
import unicodedata
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from headrace.screening.detectors.term import fold

__all__ = ["View", "views"]

MOST_RUNS = 16
"""Encoded runs of one kind that are looked at, the first ones."""
LONGEST = 20_000
"""Characters that are decoded of a run; the rest of a text is screened as it stands."""


@dataclass(frozen=True, slots=True)
class View:
    """A hidden reading, and the part of the text that holds it."""

    how: str
    text: str
    start: int
    end: int


_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff]"
)
_TAGS = re.compile("[\U000e0020-\U000e007e]{4,}")
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{8,}")
_ALIKES = "гпуһԛɑɐɓƄƅɕɖɗəɛƒɠɢɦɩɪƙʟɯɱɴɲոɾʀʁʂƨʈʊʋѵʏʐᴀʙᴄᴅᴇꜰʜᴊᴋᴍᴏᴘꜱᴛᴜᴠᴡᴢϝհցօսքյᎪᏴᏟᎠᎬᎳᎻᎥᎫᏦᏞᎷᏢᎡᏚᎢᏙᎽᏃ"
_ALIKE: Final = str.maketrans(
    _ALIKES,
    "rnyhqaabbbcddeefgghiiklmmnnnrrrsstuvvyzabcdefhjkmopstuvwzfhgoupjabcdewhijklmprstvyz",
)
"""Letters that read as Latin ones, beyond those that `fold` knows."""
_MIXED = re.compile(rf"[a-z][{_ALIKES}]|[{_ALIKES}][a-z]")
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
_MARKS = re.compile("[\u0300-\u036f]{2,}")
_APART = re.compile(r"(?:(?<![^\W_])[^\W_][ .\-_*|/+]{1,3}){7,}[^\W_](?![^\W_])")
_LEET: Final = str.maketrans("013457@$!|", "oieastasii")
_LEET_WORD = re.compile(
    r"\b(?=[a-z013457@$!|]{0,13}[g-z])(?=[a-z]{0,13}[013457@$!|])[a-z013457@$!|]{3,14}\b"
)
_LEET_WORDS = 3
"""From so many on it is a way of writing, not a name or a version."""
_BACKWARDS = re.compile(
    r"\b(?:eht|dna|uoy|ruoy|tpmorp|snoitcurtsni|erongi|metsys|drowssap|suoiverp)\b"
)
_ROT13 = re.compile(
    r"\b(?:gur|naq|lbhe?|vtaber|cerivbhf|vafgehpgvbaf?|flfgrz|cebzcg|cnffjbeq|nyy)\b"
)
_ATBASH = re.compile(r"\b(?:gsv|zmw|blfi?|rtmliv|kiverlfh|rmhgifxgrlmh?|hbhgvn|kilnkg|kzhhdliw)\b")
_ATBASH_TABLE: Final = str.maketrans("abcdefghijklmnopqrstuvwxyz", "zyxwvutsrqponmlkjihgfedcba")
_MORSE_TEXT = re.compile(r"(?:[.\-·–—]{1,6}[ /|]{1,3}){7,}[.\-·–—]{1,6}")
_CODES = [
    ".-",
    "-...",
    "-.-.",
    "-..",
    ".",
    "..-.",
    "--.",
    "....",
    "..",
    ".---",
    "-.-",
    ".-..",
    "--",
    "-.",
    "---",
    ".--.",
    "--.-",
    ".-.",
    "...",
    "-",
    "..-",
    "...-",
    ".--",
    "-..-",
    "-.--",
    "--..",
    "-----",
    ".----",
    "..---",
    "...--",
    "....-",
    ".....",
    "-....",
    "--...",
    "---..",
    "----.",
]
_MORSE: Final = dict(zip(_CODES, "abcdefghijklmnopqrstuvwxyz0123456789", strict=True))
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/_\-]{4}){4,}(?:[A-Za-z0-9+/_\-]{2,3})?={0,2}")
_BASE32 = re.compile(r"\b[A-Z2-7]{24,}={0,6}")
_HEX = re.compile(r"\b(?:0x)?(?:[0-9a-fA-F]{2}[ :,]?(?:0x)?){10,}")
_PERCENT = re.compile(r"(?:%[0-9a-fA-F]{2}[\w.+\-]{0,40}){4,}")
_ESCAPES = re.compile(r"(?:\\x[0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|&#x?[0-9a-fA-F]{2,6};){5,}")
_ESCAPE = re.compile(r"(?:\\x|\\u|&#x?)([0-9a-fA-F]+);?")
_BINARY = re.compile(r"\b(?:[01]{8}[ ,]?){6,}")
_SEPARATORS = re.compile(r"0x|[ :,]")


def views(text: str) -> Iterator[View]:
    """Every other reading that the text may have."""
    yield from _cleaned(text)
    for how, run, decode in _DECODERS:
        for number, match in enumerate(run.finditer(text)):
            if number == MOST_RUNS:
                break
            said = decode(match[0][:LONGEST])
            if said and _reads(said):
                yield View(how, said, *match.span())
                yield from (View(how, each.text, *match.span()) for each in _inner(said))
    small = text.lower()
    for how, signs, turn in _WHOLE:
        if signs.search(small):
            yield View(how, turn(small), 0, len(text))
    if len(list(itertools.islice(_LEET_WORD.finditer(small), _LEET_WORDS))) == _LEET_WORDS:
        yield View("leetspeak", small.translate(_LEET), 0, len(text))


def _cleaned(text: str) -> Iterator[View]:
    if text.isascii():
        return
    plain = text
    if _INVISIBLE.search(text):
        plain = _INVISIBLE.sub("", plain)
    if _MARKS.search(plain):
        parts = unicodedata.normalize("NFD", plain)
        plain = "".join(char for char in parts if not unicodedata.combining(char))
    if plain != text:
        yield View("invisible characters", plain, 0, len(text))
    folded = fold(plain)
    if _MIXED.search(folded):
        latin = folded.translate(_ALIKE)
        if sum(map(str.isalpha, _NOT_ASCII.sub("", latin))) * 10 >= 9 * sum(
            map(str.isalpha, latin)
        ):
            yield View("look-alike letters", latin, 0, len(text))


def _inner(text: str) -> Iterator[View]:
    """Base64 in what was decoded."""
    for match in _BASE64.finditer(text):
        said = _base64(match[0])
        if said and _reads(said):
            yield View("base64", said, *match.span())
        return


def _reads(text: str) -> bool:
    """Whether it looks like words rather than like noise."""
    plain = sum(char.isalpha() or char in " .,'!?\n" for char in text[:400])
    return len(text) >= 6 and plain >= 0.8 * len(text[:400])


def _utf8(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return ""


def _base64(run: str) -> str:
    run = run.rstrip("=").replace("-", "+").replace("_", "/")
    run = run[: len(run) - (len(run) % 4 == 1)]
    try:
        return _utf8(base64.b64decode(run + "=" * (-len(run) % 4)))
    except binascii.Error:
        return ""


def _base32(run: str) -> str:
    run = run.rstrip("=")
    try:
        return _utf8(base64.b32decode(run + "=" * (-len(run) % 8)))
    except binascii.Error:
        return ""


def _hex(run: str) -> str:
    digits = _SEPARATORS.sub("", run)
    return _utf8(bytes.fromhex(digits[: len(digits) // 2 * 2]))


def _percent(run: str) -> str:
    data = re.sub(rb"%([0-9a-fA-F]{2})", lambda m: bytes.fromhex(m[1].decode()), run.encode())
    return _utf8(data).replace("+", " ")


def _escapes(run: str) -> str:
    found = []
    for match in _ESCAPE.finditer(run):
        is_decimal = match[0].startswith("&#") and not match[0].startswith("&#x")
        code = int(match[1], 10 if is_decimal and match[1].isdigit() else 16)
        found.append(chr(code) if code < 0x110000 else "")
    return "".join(found)


def _binary(run: str) -> str:
    bits = re.sub(r"[ ,]", "", run)
    return _utf8(bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)))


def _tags(run: str) -> str:
    return "".join(chr(ord(char) - 0xE0000) for char in run)


def _selectors(run: str) -> str:
    """Bytes as variation selectors: the first sixteen, then those from U+E0100 on."""
    return _utf8(
        bytes(
            ord(char) - 0xFE00 if ord(char) < 0xFE10 else ord(char) - 0xE0100 + 16 for char in run
        )
    )


def _morse(run: str) -> str:
    run = run.replace("·", ".").replace("–", "-").replace("—", "-")
    words = re.split(r" {2,}| ?[/|] ?", run)
    return " ".join("".join(_MORSE.get(sign, "") for sign in word.split()) for word in words)


def _apart(run: str) -> str:
    """Letters that were set apart; where a wider gap stands, a word ends."""
    return re.sub(r"[ .\-_*|/+]", "", re.sub(r"[ .\-_*|/+]{2,3}", "\n", run)).replace("\n", " ")


_Decode = Callable[[str], str]
_DECODERS: tuple[tuple[str, re.Pattern[str], _Decode], ...] = (
    ("base64", _BASE64, _base64),
    ("base32", _BASE32, _base32),
    ("hex", _HEX, _hex),
    ("percent encoding", _PERCENT, _percent),
    ("escapes", _ESCAPES, _escapes),
    ("binary", _BINARY, _binary),
    ("tag characters", _TAGS, _tags),
    ("variation selectors", _SELECTORS, _selectors),
    ("Morse", _MORSE_TEXT, _morse),
    ("letters set apart", _APART, _apart),
)
_WHOLE: tuple[tuple[str, re.Pattern[str], _Decode], ...] = (
    ("reversed", _BACKWARDS, lambda text: text[::-1]),
    ("rot13", _ROT13, lambda text: codecs.encode(text, "rot13")),
    ("Atbash", _ATBASH, lambda text: text.translate(_ATBASH_TABLE)),
)
