"""People, organisations and places that the glossary does not hold, guessed in English text.

By lists of well-known names (lexicon/), by what stands behind or before a name (GmbH, University
of, Lake, Dr), and by given names. It knows no grammar: names without any such sign are not found,
and neither are products. Chinese: chinese_guess.py. How often this is right: docs/entities.md.
"""

import re
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path

__all__ = ["Guess", "english_guesses", "lexicon"]

Guess = tuple[int, int, str, float]
"""Start, end, kind, score."""

_CAP = r"[A-ZÀ-ÖØ-Þ][\w'’&-]*\.?"
_RUN = re.compile(rf"(?<!\w){_CAP}(?: (?:(?:of|for|de|van|von|the|and) (?:the )?)?{_CAP}){{0,7}}")
_TOKEN = re.compile(r"\S+")
_SUFFIXES = frozenset(
    [
        "Inc",
        "Ltd",
        "LLC",
        "LLP",
        "Corp",
        "Corporation",
        "Company",
        "Co",
        "GmbH",
        "AG",
        "SE",
        "SA",
        "PLC",
        "plc",
        "BV",
        "Group",
        "Holdings",
        "Bank",
        "University",
        "College",
        "Institute",
        "Foundation",
        "Association",
        "Agency",
        "Council",
        "Committee",
        "Commission",
        "Ministry",
        "Department",
        "Hospital",
        "Airlines",
        "Airways",
        "Museum",
        "Society",
        "Union",
        "Press",
        "Party",
        "Court",
        "Laboratory",
        "Laboratories",
        "Technologies",
        "Systems",
        "Industries",
        "Partners",
        "Consulting",
    ]
)
_HEADS = frozenset(
    [
        "University",
        "Ministry",
        "Bank",
        "Department",
        "Institute",
        "College",
        "Court",
        "Council",
        "Church",
        "Museum",
        "Academy",
        "Board",
        "Bureau",
        "Office",
        "School",
        "Society",
    ]
)
_PLACE_SUFFIXES = frozenset(
    [
        "River",
        "Lake",
        "Street",
        "Avenue",
        "Road",
        "County",
        "Island",
        "Islands",
        "Valley",
        "Mountains",
        "Bay",
        "Park",
        "Square",
        "Airport",
        "Station",
        "Ocean",
        "Sea",
        "Desert",
        "Bridge",
        "Canal",
    ]
)
_PLACE_HEADS = frozenset(["Lake", "Mount", "River", "Cape", "Fort", "Port"])
_TITLES = frozenset(
    [
        "Mr",
        "Mrs",
        "Ms",
        "Miss",
        "Dr",
        "Prof",
        "Professor",
        "President",
        "Chancellor",
        "Minister",
        "Senator",
        "Sir",
        "Lady",
        "Lord",
        "Queen",
        "King",
        "Captain",
        "General",
        "Judge",
        "Mayor",
        "Pope",
        "Saint",
    ]
)
_NO_NAMES = frozenset(
    [
        "The",
        "A",
        "An",
        "This",
        "That",
        "These",
        "Those",
        "In",
        "On",
        "At",
        "By",
        "For",
        "From",
        "Of",
        "And",
        "Or",
        "But",
        "If",
        "Is",
        "Are",
        "Was",
        "Were",
        "Do",
        "Does",
        "Did",
        "Can",
        "Could",
        "Will",
        "Would",
        "Should",
        "May",
        "Might",
        "Must",
        "How",
        "What",
        "When",
        "Where",
        "Which",
        "Who",
        "Whom",
        "Whose",
        "Why",
        "Our",
        "My",
        "Your",
        "His",
        "Her",
        "Its",
        "Their",
        "We",
        "I",
        "You",
        "He",
        "She",
        "It",
        "They",
        "Please",
        "Ask",
        "Call",
        "Ship",
        "Send",
        "Deliver",
        "January",
        "February",
        "March",
        "April",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
        "Monday",
        "Tuesday",
        "Wednesday",
        "Thursday",
        "Friday",
        "Saturday",
        "Sunday",
        "Q1",
        "Q2",
        "Q3",
        "Q4",
    ]
)
_JOINERS = frozenset(("of", "for", "de", "van", "von", "the", "and"))


@cache
def lexicon(name: str) -> frozenset[str]:
    """The names of one file of lexicon/."""
    lines = (Path(__file__).parent / "lexicon" / f"{name}.txt").read_text("utf-8").splitlines()
    listed = (
        each.strip() for line in lines if not line.startswith("#") for each in line.split(",")
    )
    return frozenset(filter(None, listed))


def english_guesses(text: str) -> Iterator[Guess]:
    """The guesses of a text in order, none over another."""
    for run in _RUN.finditer(text):
        tokens = [
            (run.start() + token.start(), _stripped(token[0])) for token in _TOKEN.finditer(run[0])
        ]
        yield from _of_run(text, tokens)


def _stripped(token: str) -> str:
    token = re.sub(r"['’]s?$", "", token)
    return token if token in ("U.S.", "St.") else token.rstrip(".'’")


def _of_run(text: str, tokens: Sequence[tuple[int, str]]) -> Iterator[Guess]:
    words = [word for _, word in tokens]
    at = 0
    while at < len(tokens):
        length, kind, score, skip = _at(words, at)
        if not length:
            at += 1
            continue
        start = tokens[at + skip][0]
        last_start, last = tokens[at + length - 1]
        yield start, last_start + len(last), kind, score
        at += length


def _at(words: Sequence[str], at: int) -> tuple[int, str, float, int]:
    """How many words make a name here, its kind and score, and how many before it are a title."""
    known = _known(words, at)
    formed = _formed(words, at)
    if formed[0] > known[0]:
        return (*formed, 0)
    if known[0]:
        return (*known, 0)
    word = words[at]
    skip = 1 if word in _TITLES else 0
    if skip or word in lexicon("given_names"):
        names = _surnames(words, at + 1)
        if names and at + names + 1 <= len(words):
            return names + 1, "person", 0.9 if skip else 0.8, skip
    return 0, "", 0.0, 0


def _known(words: Sequence[str], at: int) -> tuple[int, str, float]:
    for length in (4, 3, 2, 1):
        if at + length <= len(words):
            name = " ".join(words[at : at + length])
            if name in lexicon("places"):
                return length, "place", 0.8
            if name in lexicon("organisations"):
                return length, "organisation", 0.8
    return 0, "", 0.0


def _formed(words: Sequence[str], at: int) -> tuple[int, str, float]:
    """Names that say what they are: Acme Corporation, University of Bristol, Lake Victoria."""
    if words[at] in _NO_NAMES or words[at] in _JOINERS:
        return 0, "", 0.0
    if words[at] in _HEADS and words[at + 1 : at + 2] and words[at + 1] in ("of", "for"):
        end = at + 2 + (words[at + 2 : at + 3] == ["the"])
        while end < len(words) and words[end] not in _JOINERS:
            end += 1
        return (end - at, "organisation", 0.9) if end > at + 2 else (0, "", 0.0)
    if words[at] in _PLACE_HEADS and words[at + 1 : at + 2] and words[at + 1] not in _JOINERS:
        return 2, "place", 0.8
    for end in range(min(at + 5, len(words)), at + 1, -1):
        inner = words[at:end]
        if any(word in _JOINERS and word != "of" for word in inner):
            continue
        if words[end - 1] in _SUFFIXES:
            return end - at, "organisation", 0.9
        if words[end - 1] in _PLACE_SUFFIXES:
            return end - at, "place", 0.8
    return 0, "", 0.0


def _surnames(words: Sequence[str], at: int) -> int:
    """How many words from here on are the rest of a person's name."""
    count = 0
    while count < 2 and at + count < len(words):
        word = words[at + count]
        if word in _JOINERS and word not in ("de", "van", "von"):
            break
        if word in _NO_NAMES or word in _SUFFIXES or word in lexicon("places"):
            break
        count += 1
    return count
