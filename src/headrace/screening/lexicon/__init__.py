"""Word lists that detectors read when they first look at a text."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

__all__ = ["read_lexicon"]


@cache
def read_lexicon(name: str) -> Mapping[str, frozenset[str]]:
    """The sections of `NAME.txt`, each a set of words."""
    text = files("headrace.screening.lexicon").joinpath(f"{name}.txt").read_text("utf-8")
    sections: dict[str, frozenset[str]] = {}
    section = ""
    for line in text.splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif section and not line.startswith("#"):
            sections[section] = sections.get(section, frozenset()) | frozenset(line.split())
    return sections
