"""Which language a text is in: script first, then trigrams where languages share a script.

Honest rather than complete: `identify` says None for what it cannot tell (one name, a formula,
code, a language without a profile). Profiles: see tools/build_language_profiles.py.

What it does not do: tell apart languages of one script that have no profile (Afrikaans may come
out as nl), written dialects, romanised Hindi or Arabic; mixed texts get the language with the
most words.
"""

import json
import re
import zlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

__all__ = ["LANGUAGES", "identify", "load_profiles"]

_SAMPLE = 600
"""Letters looked at. Past a few hundred the verdict does not change; time would."""

_MARGIN = 2.0
"""Nats by which the best language must beat the second; below, None."""
_LEAST_WORDS = 2
_LEAST_LETTERS = 10
"""Shorter texts get None: a name or a greeting is at home in many languages."""
_PER_TRIGRAM = 1.6
"""Nats per trigram that the best language must reach, else the text is no language we know."""

# A unit is about one word: scripts that write without spaces count letters per word.
_SCRIPTS: tuple[tuple[str, str, float], ...] = (
    ("latin", r"A-Za-z\u00aa\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u024f\u1e00-\u1eff", 5.0),
    ("cyrillic", r"\u0400-\u052f", 5.5),
    ("han", r"\u4e00-\u9fff\u3400-\u4dbf\uf900-\ufaff\u3005\u3007", 1.7),
    ("kana", r"\u3041-\u3096\u30a1-\u30fa\u30fc\uff66-\uff9f", 2.0),
    ("hangul", r"\uac00-\ud7a3\u1100-\u11ff\u3131-\u318e", 2.5),
    ("arabic", r"\u0620-\u064a\u066e-\u06d3\u06d5\u06fa-\u06ff\u0750-\u077f", 4.5),
    ("devanagari", r"\u0904-\u0963\u0972-\u097f", 4.5),
    ("thai", r"\u0e01-\u0e3a\u0e40-\u0e4e", 4.5),
    ("greek", r"\u0370-\u03ff\u1f00-\u1ffe", 5.5),
    ("hebrew", r"\u05d0-\u05ea", 4.5),
    ("bengali", r"\u0980-\u09e5", 4.5),
    ("gurmukhi", r"\u0a01-\u0a65", 4.5),
    ("gujarati", r"\u0a81-\u0ae3", 4.5),
    ("tamil", r"\u0b82-\u0bd7", 5.5),
    ("telugu", r"\u0c01-\u0c63", 5.5),
    ("kannada", r"\u0c81-\u0ce3", 5.5),
    ("malayalam", r"\u0d02-\u0d63", 5.5),
    ("sinhala", r"\u0d82-\u0dc6", 4.5),
    ("lao", r"\u0e81-\u0edd", 4.5),
    ("burmese", r"\u1000-\u109f", 4.5),
    ("khmer", r"\u1780-\u17d3", 4.5),
    ("georgian", r"\u10d0-\u10ff", 5.5),
    ("armenian", r"\u0531-\u0587", 5.5),
    ("ethiopic", r"\u1200-\u135a", 4.0),
)
_BY_SCRIPT = {
    "hangul": "ko",
    "thai": "th",
    "greek": "el",
    "hebrew": "he",
    "bengali": "bn",
    "gurmukhi": "pa",
    "gujarati": "gu",
    "tamil": "ta",
    "telugu": "te",
    "kannada": "kn",
    "malayalam": "ml",
    "sinhala": "si",
    "lao": "lo",
    "burmese": "my",
    "khmer": "km",
    "georgian": "ka",
    "armenian": "hy",
    "ethiopic": "am",
}
# What a text may be where a script has several languages, and how much each is expected, in nats:
# a prompt is rather Spanish than Catalan as long as its words do not say otherwise.
_EXPECTED = 2.5
_BY_TRIGRAM = {
    "latin": {
        **dict.fromkeys(("en", "de", "fr", "es", "it", "pt", "nl", "pl", "tr", "vi"), _EXPECTED),
        **dict.fromkeys(("sv", "da", "no", "fi", "cs", "ro", "hu", "id", "ca", "hr"), 0.0),
        **dict.fromkeys(("sk", "sl", "et", "lt", "lv", "sq", "sw", "tl", "cy", "af"), 0.0),
    },
    "cyrillic": {"ru": _EXPECTED, "uk": _EXPECTED, "bg": 0.0},
    "arabic": {"ar": _EXPECTED, "fa": 0.0, "ur": 0.0},
    "devanagari": {"hi": _EXPECTED, "mr": 0.0, "ne": 0.0},
}
LANGUAGES: frozenset[str] = frozenset(
    [*_BY_SCRIPT.values(), *(code for codes in _BY_TRIGRAM.values() for code in codes), "zh", "ja"]
)
"""ISO 639-1 codes that `identify` can answer with."""

_LETTERS = {name: re.compile(f"[{letters}]") for name, letters, _ in _SCRIPTS}
_PER_UNIT = {name: per_unit for name, _, per_unit in _SCRIPTS}
_WORD = re.compile(
    r"[^\s\d_!-/:-@\[-`{-~\u00a1-\u00bf\u0964\u0965\u060c\u061f\u2000-\u206f\u3000-\u303f\uff00-\uff0f]+"
)
# Simplifications that only Japanese made: kanji-only Japanese shows itself by them.
_JAPANESE_KANJI = re.compile(
    "[駅図売読気円広発続経黒歩帰働込畑峠辻匂枠栃沢実変対単戦歳権検験験拝悪応仮労励]"
)

# Letters with two marks, and the horned ones: no other language writes them.
_VIETNAMESE = re.compile(r"[\u1ea0-\u1ef9\u01a0\u01a1\u01af\u01b0]")


@dataclass(frozen=True, slots=True)
class _Profiles:
    """Weights of all features; a feature's weights for all languages packed in one integer.

    Adding such integers adds all languages at once, in C: each has a lane of three bytes, which
    600 trigrams at 255 cannot overflow.
    """

    columns: dict[str, int]
    steps_per_nat: int
    packed: dict[str, int]

    @classmethod
    def load(cls) -> "_Profiles":
        source = files(__package__).joinpath("language_profiles.bin")
        header, features, matrix = zlib.decompress(source.read_bytes()).split(b"\n", 2)
        said = json.loads(header)
        languages: list[str] = said["languages"]
        lanes = bytearray(3 * len(matrix))
        lanes[::3] = matrix
        width = 3 * len(languages)
        packed = {
            feature: int.from_bytes(lanes[at : at + width], "little")
            for feature, at in zip(
                features.decode().split("\t"), range(0, len(lanes), width), strict=True
            )
        }
        columns = {language: column for column, language in enumerate(languages)}
        return cls(columns, said["steps_per_nat"], packed)


@cache
def _profiles() -> _Profiles:
    return _Profiles.load()


def load_profiles() -> None:
    """Read the profiles now (15 ms), so that the first turn need not."""
    _profiles()


def identify(text: str) -> str | None:
    """The ISO 639-1 code of the language most of `text` is in, or None when unsure."""
    sample = text[:_SAMPLE]
    script = "latin" if sample.isascii() else _main_script(sample)
    if script is None:
        return None
    if script == "han":
        return "ja" if _JAPANESE_KANJI.search(sample) else "zh"
    if script == "kana":
        return "ja"
    return _BY_SCRIPT.get(script) or _by_trigrams(sample, _BY_TRIGRAM[script])


def _main_script(sample: str) -> str | None:
    units: dict[str, float] = {}
    for name, letters in _LETTERS.items():
        if letters.search(sample):
            units[name] = len(letters.findall(sample)) / _PER_UNIT[name]
    # Japanese is written in both; Chinese has a kana letter at most as an ornament.
    if "kana" in units and units["kana"] * 8 >= units.get("han", 0.0):
        units["kana"] += units.pop("han", 0.0)
    # Latin names and terms stand in texts of every script; the reverse is rare.
    if "latin" in units:
        units["latin"] *= 0.7
    return max(units, key=units.__getitem__) if units else None


def _by_trigrams(sample: str, among: dict[str, float]) -> str | None:
    if len(_VIETNAMESE.findall(sample)) > len(sample) // 25:
        return "vi"
    profiles = _profiles()
    weight = profiles.packed.get
    words = _WORD.findall(sample.lower())
    text = f" {'  '.join(words)} "
    if len(words) < _LEAST_WORDS or len(text) < _LEAST_LETTERS:
        return None
    trigrams = [text[at : at + 3] for at in range(len(text) - 2)]
    total = sum([weight(each, 0) for each in trigrams])
    total += sum([weight("=" + each, 0) for each in words])
    lanes = total.to_bytes(3 * len(profiles.columns), "little")
    best, second, name = 0.0, 0.0, ""
    for language, expected in among.items():
        at = 3 * profiles.columns[language]
        nats = int.from_bytes(lanes[at : at + 3], "little") / profiles.steps_per_nat + expected
        if nats > best:
            best, second, name = nats, best, language
        elif nats > second:
            second = nats
    sure = best - second >= _MARGIN
    known = best >= _PER_TRIGRAM * (len(trigrams) - 2 * len(words) + 1)
    return name if sure and known else None
