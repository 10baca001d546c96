"""Spelling correction for English: only what is almost certainly a slip of the keys.

A word changes when it is in no dictionary, one slip away from a common word (a letter too many,
too few, wrong, or swapped), and that word is far commoner than any other as near. Left alone:
capitalised words (names), anything with digits, underscores, hyphens or dots, words of up to
three letters but for `teh` and its like, technical words.

Word counts: SymSpell's English list (82,765 words; SCOWL crossed with Google Books), as the
package symspellpy ships it.
"""

import re
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Self

from headrace.errors import ConfigError

__all__ = ["Speller"]

_WORD = re.compile(r"(?<![\w'’@#./\\:_-])[a-z]{3,24}(?![\w'’@/\\_-]|[.:]\w)")
_COMMON: Final = 1_000_000
"""Occurrences (in some 10^12 words) that a word needs to be what was meant."""
_FAR_COMMONER: Final = 15
"""How many times commoner it must be than the next candidate."""
_LETTERS: Final = "abcdefghijklmnopqrstuvwxyz"
# How likely a slip is: letters swapped, a double letter written once or the reverse, a letter
# left out, one too many, a wrong one.
_SWAPPED: Final = 30
_DOUBLE: Final = 29
_MISSING: Final = 5
_EXTRA: Final = 2
_WRONG: Final = 1
_VARIANTS: Final = (
    *(("yz", "ys"), ("ys", "yz"), ("iz", "is"), ("is", "iz"), ("or", "our"), ("our", "or")),
    *(
        ("er", "re"),
        ("re", "er"),
        ("led", "lled"),
        ("ling", "lling"),
        ("lled", "led"),
        ("lling", "ling"),
        ("ense", "ence"),
        ("e", "ae"),
    ),
)
_LEAST_LETTERS: Final = 6
"""Words shorter than this have too many neighbours: only swapped letters are put right."""
_REMEMBERED: Final = 20_000
"""Words whose correction is kept, so that a text full of one unknown word costs one search."""

_CERTAIN: Final = {
    "adn": "and",
    "hte": "the",
    "taht": "that",
    "teh": "the",
    "waht": "what",
    "arent": "aren't",
    "couldnt": "couldn't",
    "didnt": "didn't",
    "doesnt": "doesn't",
    "dont": "don't",
    "hadnt": "hadn't",
    "hasnt": "hasn't",
    "havent": "haven't",
    "isnt": "isn't",
    "shouldnt": "shouldn't",
    "thats": "that's",
    "theyre": "they're",
    "wasnt": "wasn't",
    "werent": "weren't",
    "whats": "what's",
    "wouldnt": "wouldn't",
    "youre": "you're",
}


class Speller:
    """Corrects one English text after the other. Loads in 50 ms, takes about 15 MB."""

    def __init__(self, counts: dict[str, int]) -> None:
        self._counts = counts
        self._meant: dict[str, str] = dict(_CERTAIN)

    @classmethod
    def load(cls) -> Self:
        """Read the word list.

        Raises:
            ConfigError: the package that brings it is not installed.
        """
        package = find_spec("symspellpy")
        if package is None or package.origin is None:
            raise ConfigError(
                "spelling: the word list of `symspellpy` is not installed",
                hint="pip install symspellpy, or leave `spelling` off",
            )
        source = Path(package.origin).with_name("frequency_dictionary_en_82_765.txt")
        lines = source.read_text("utf-8-sig").splitlines()
        counts = {word: int(count) for word, _, count in (line.partition(" ") for line in lines)}
        also = files(__package__).joinpath("technical_words.txt").read_text("utf-8").split()
        return cls({**dict.fromkeys(also, _COMMON), **counts})

    def correct(self, text: str) -> tuple[str, int]:
        """The text with slips corrected, and how many words changed."""
        changed = 0

        def meant(match: re.Match[str]) -> str:
            nonlocal changed
            word = match.group()
            if self._is_known(word):
                return word
            correction = self._meant.get(word)
            if correction is None:
                if len(self._meant) >= _REMEMBERED:
                    self._meant = dict(_CERTAIN)
                correction = self._meant[word] = self._search(word)
            changed += correction != word
            return correction

        return _WORD.sub(meant, text), changed

    def _is_known(self, word: str) -> bool:
        """Whether it is a word, its plural, or spelt as on the other side of the Atlantic."""
        counts = self._counts
        return (
            word in counts
            or word.removesuffix("s") in counts
            or any(word.replace(here, there) in counts for here, there in _VARIANTS if here in word)
        )

    def _search(self, word: str) -> str:
        """The word that was meant, or `word` itself when that is not clear."""
        slips = _one_slip(word) if len(word) > 3 else {}
        if len(word) < _LEAST_LETTERS:
            slips = {each: weight for each, weight in slips.items() if weight == _SWAPPED}
        counts = self._counts
        likely = sorted(
            ((counts[each] * weight, each) for each, weight in slips.items() if each in counts),
            reverse=True,
        )
        if not likely or counts[likely[0][1]] < _COMMON:
            return word
        if len(likely) > 1 and likely[0][0] < _FAR_COMMONER * likely[1][0]:
            return word
        return likely[0][1]


def _one_slip(word: str) -> dict[str, int]:
    """What one slip may have made `word` of, and how likely that slip is beside the others.

    The first letter is hardly ever the wrong one.
    """
    splits = [(word[:at], word[at:]) for at in range(1, len(word) + 1)]
    slips = {a + letter + b[1:]: _WRONG for a, b in splits if b for letter in _LETTERS}
    slips |= {a + b[1:]: _DOUBLE if a[-1] == b[0] else _EXTRA for a, b in splits if b}
    slips |= {
        a + letter + b: _DOUBLE if letter == a[-1] else _MISSING
        for a, b in splits
        for letter in _LETTERS
    }
    slips |= {
        word[:at] + word[at + 1] + word[at] + word[at + 2 :]: _SWAPPED
        for at in range(len(word) - 1)
    }
    return slips
