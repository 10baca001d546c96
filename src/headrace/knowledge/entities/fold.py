"""Text without case, width and diacritics, with the way back to the original's offsets."""

import unicodedata

__all__ = ["fold"]


def fold(text: str) -> tuple[str, list[int]]:
    """The folded text, and for each of its characters the offset of the one it came from."""
    out: list[str] = []
    source: list[int] = []
    for at, char in enumerate(text):
        # Twice: case folding may bring back a mark that was composed (İ).
        plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", char).casefold())
        for piece in plain:
            if not unicodedata.combining(piece):
                out.append(piece)
                source.append(at)
    return "".join(out), source
