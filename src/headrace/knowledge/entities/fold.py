"""Text without case, width and diacritics, with the way back to the original's offsets."""

import unicodedata
from collections.abc import Sequence
from functools import lru_cache

__all__ = ["fold"]


def fold(text: str) -> tuple[str, Sequence[int]]:
    """The folded text, and for each of its characters the offset of the one it came from."""
    if text.isascii():
        return text.lower(), range(len(text))
    pieces = [_plain(char) for char in text]
    folded = "".join(pieces)
    if len(folded) == len(text) and all(pieces):
        return folded, range(len(text))
    return folded, [at for at, piece in enumerate(pieces) for _ in piece]


@lru_cache(maxsize=65536)
def _plain(char: str) -> str:
    # Twice: case folding may bring back a mark that was composed (İ).
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", char).casefold())
    return "".join(piece for piece in plain if not unicodedata.combining(piece))
