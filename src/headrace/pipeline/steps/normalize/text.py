"""One text through all repairs. The order matters: what hides a fault goes before the fault."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from headrace.pipeline.steps.normalize import (
    compatibility,
    encoding,
    entity,
    invisible,
    lookalike,
    whitespace,
)
from headrace.pipeline.steps.normalize.passage import passages

__all__ = ["Normalized", "Repair", "normalize_text"]

Repair = Callable[[str], tuple[str, int]]
"""Changes a text and says how many places changed."""

_REPAIRS: tuple[tuple[str, Repair], ...] = (
    ("encoding", encoding.repair_encoding),
    ("invisible", invisible.remove_invisible),
    ("entity", entity.unescape_entities),
    ("compatibility", compatibility.replace_compatibility),
    ("lookalike", lookalike.replace_lookalikes),
    ("compatibility", compatibility.compose),
    ("whitespace", whitespace.tidy_whitespace),
)
_CODE_REPAIRS: tuple[tuple[str, Repair], ...] = (("invisible", invisible.remove_invisible),)
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_MOST_ROUNDS = 4
"""One repair can uncover work for another (`&#8203;` hides an invisible character)."""


@dataclass(slots=True)
class Normalized:
    """A text after normalisation, and how many places each kind of repair changed."""

    text: str
    changes: dict[str, int] = field(default_factory=dict)

    def count(self, kind: str, places: int) -> None:
        if places:
            self.changes[kind] = self.changes.get(kind, 0) + places


def normalize_text(text: str, *, trim: bool = True, spelling: Repair | None = None) -> Normalized:
    """Repair `text`. Doing it twice changes nothing more. Time is linear in its length.

    Args:
        trim: whether blank lines at the start and whitespace at the end go; a bare completion
            prompt ends with them on purpose.
        spelling: corrects prose, last; None leaves spelling alone.
    """
    done = Normalized(text)
    for _ in range(_MOST_ROUNDS):
        if _is_clean(done.text):
            break
        before = done.text
        _round(done, trim=trim)
        if done.text == before:
            break
    if spelling is not None:
        _correct(done, spelling)
    return done


def _is_clean(text: str) -> bool:
    """Whether no repair has anything to look at. For most texts this is all that happens."""
    if text.isascii():
        hidden = _CONTROLS.search(text) is not None
    else:
        hidden = invisible.is_suspect(text) or compatibility.is_suspect(text)
        hidden = hidden or encoding.is_suspect(text) or lookalike.is_suspect(text)
    return not (hidden or whitespace.is_suspect(text) or entity.is_suspect(text))


def _round(done: Normalized, *, trim: bool) -> None:
    parts = list(passages(done.text))
    pieces: list[str] = []
    for at, passage in enumerate(parts):
        piece = passage.text
        for kind, repair in _CODE_REPAIRS if passage.is_code else _REPAIRS:
            piece, places = repair(piece)
            done.count(kind, places)
        if trim and not passage.is_code:
            piece, places = whitespace.trim(piece, start=at == 0, end=at == len(parts) - 1)
            done.count("whitespace", places)
        pieces.append(piece)
    done.text = "".join(pieces)


def _correct(done: Normalized, spelling: Repair) -> None:
    pieces: list[str] = []
    for passage in passages(done.text):
        piece = passage.text
        if not passage.is_code:
            piece, places = spelling(piece)
            done.count("spelling", places)
        pieces.append(piece)
    done.text = "".join(pieces)
