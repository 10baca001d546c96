"""The map-reduce of a template: how an input that is longer than the context comes in parts."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from headrace.prompts.file import MapReduceSpec
from headrace.prompts.text import Localized

__all__ = ["MapReduce", "cut"]

# Where a text may be cut, best place first: paragraphs, lines, sentences (Chinese too), words.
_PLACES = (
    re.compile(r"\n[ \t]*\n+"),
    re.compile(r"\n"),
    re.compile(r"(?<=[.!?…])\s+|(?<=[。！？；])"),
    re.compile(r"\s+|(?<=[，、：])"),
)


@dataclass(frozen=True, slots=True)
class MapReduce:
    """A template's words for one part of an input, and its bounds."""

    spec: MapReduceSpec
    part: Localized


def cut(text: str, most: int, tokens: Callable[[str], int]) -> list[str]:
    """The text in parts of at most `most` tokens each, cut where it hurts least.

    Joined, the parts have all letters of the text but the space between them.
    """
    parts: list[str] = []
    for piece in _pieces(text.strip(), most, tokens, 0):
        if parts and tokens(parts[-1] + piece) <= most:
            parts[-1] += piece
        else:
            parts.append(piece)
    return [part.strip() for part in parts if part.strip()]


def _pieces(text: str, most: int, tokens: Callable[[str], int], place: int) -> Iterator[str]:
    if tokens(text) <= most:
        yield text
        return
    if place == len(_PLACES):
        # No place left to cut at: a word longer than a part.
        half = max(1, len(text) // 2)
        if len(text) < 2:
            yield text
            return
        yield from _pieces(text[:half], most, tokens, place)
        yield from _pieces(text[half:], most, tokens, place)
        return
    for piece in _split(text, _PLACES[place]):
        yield from _pieces(piece, most, tokens, place + 1)


def _split(text: str, place: re.Pattern[str]) -> Sequence[str]:
    """The text cut at each place, which stays at the end of what is before it."""
    ends = [match.end() for match in place.finditer(text)]
    edges = [0, *(end for end in ends if 0 < end < len(text)), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]
