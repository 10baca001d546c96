"""How much a text is an injection, where, and why: signs, hidden readings and the classifier as one."""

import hashlib
import re
from dataclasses import dataclass

from headrace.screening.detectors.term import fold
from headrace.screening.injection.classifier import classifier
from headrace.screening.injection.sign import Hit, find_signs
from headrace.screening.injection.view import views

__all__ = ["Assessment", "assess"]

_HIDDEN = 0.15
"""What a sign counts more where somebody hid it."""
_WORTH_A_PLACE = 0.4
"""Below, nobody asks where."""
_MOST_KNOWN = 1024
_known: dict[bytes, "Assessment | None"] = {}
_SENTENCE = re.compile(r"[^.!?。！？\n]+[.!?。！？\n]*")
_PARTS = 10
"""A window of the classifier is narrowed down to about so many parts."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """What speaks for an injection, taken together."""

    score: float
    start: int
    end: int
    why: str
    """The rules and what they mean; never the text."""


@dataclass(frozen=True, slots=True)
class _Evidence:
    family: str
    score: float
    start: int
    end: int
    why: str


def assess(text: str) -> Assessment | None:
    """All evidence in a text; None when there is none.

    Conversations are sent again with each turn, and two detectors ask about one text, so what was
    said about a text is kept for a while: by its digest, not the text.
    """
    key = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    if key in _known:
        return _known[key]
    found = _assessed(text)
    if len(_known) >= _MOST_KNOWN:
        _known.clear()
    _known[key] = found
    return found


def _assessed(text: str) -> Assessment | None:
    evidence = [_of_hit(hit) for hit in find_signs(fold(text))]
    evidence += _hidden(text)
    learnt, begin, end = classifier().score(text)
    if learnt > 0:
        likeness = f"classifier {learnt:.2f}: is like known attacks"
        evidence.append(_Evidence("classifier", learnt, begin, end, likeness))
    return _together(text, evidence)


def _of_hit(hit: Hit) -> _Evidence:
    sign = hit.sign
    return _Evidence(sign.family, sign.score, hit.start, hit.end, f"{sign.family}: {sign.why}")


def _hidden(text: str) -> list[_Evidence]:
    """What the text's other readings show."""
    found: list[_Evidence] = []
    for view in views(text):
        for hit in find_signs(fold(view.text)):
            score = min(0.95, hit.sign.score + _HIDDEN)
            why = f"{hit.sign.family} in {view.how}: {hit.sign.why}"
            found.append(_Evidence(hit.sign.family, score, view.start, view.end, why))
        if len(view.text) > 11:
            learnt = classifier().score(view.text)[0]
            if learnt >= 0.5:
                why = f"classifier {learnt:.2f} in {view.how}: is like known attacks"
                found.append(_Evidence("classifier", learnt, view.start, view.end, why))
    return found


def _together(text: str, evidence: list[_Evidence]) -> Assessment | None:
    strongest: dict[str, _Evidence] = {}
    for each in evidence:
        known = strongest.get(each.family)
        if known is None or each.score > known.score:
            strongest[each.family] = each
    harmless = 1.0
    for each in strongest.values():
        harmless *= 1.0 - each.score
    if not strongest:
        return None
    named = [each for each in strongest.values() if each.family != "classifier"]
    # A rule says where; the classifier only knows the window.
    place = max(named or strongest.values(), key=lambda each: (each.score, -each.start))
    start, end = place.start, place.end
    if not named and 1.0 - harmless >= _WORTH_A_PLACE:
        start, end = _worst_part(text, start, end)
    ordered = sorted(strongest.values(), key=lambda each: -each.score)
    why = "; ".join(each.why for each in ordered)
    return Assessment(round(1.0 - harmless, 4), start, end, why)


def _worst_part(text: str, start: int, end: int) -> tuple[int, int]:
    """Where in a window the classifier sees most of an attack: a sentence, or some short ones."""
    parts: list[tuple[int, int]] = []
    least = (end - start) // _PARTS
    begin = start
    for match in _SENTENCE.finditer(text, start, end):
        if match.end() - begin >= least:
            parts.append((begin, match.end()))
            begin = match.end()
    raw = classifier().raw
    return max(parts, key=lambda span: raw(text[span[0] : span[1]]), default=(start, end))
