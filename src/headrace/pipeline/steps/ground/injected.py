"""Commands that somebody wrote into a document, for the model to find there.

Looked for by the detectors of the kind `instruction`: in what is only to be read, any order to the model
is suspect. They know words, not intentions: see `screening/detectors/instruction.py` for what they do
not catch. The fence is the other half.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from headrace.knowledge.passage import Passage
from headrace.screening.finding import Detector, Finding, Span
from headrace.screening.registry import detectors

__all__ = ["CUT", "KINDS", "OnInjection", "Screened", "data_detectors", "screen_passages"]

OnInjection: TypeAlias = Literal["drop", "neutralise", "flag"]
CUT = "[…]"
"""What stands in place of a sentence that was cut out."""
KINDS = frozenset({"injection", "instruction"})
_FOR_USERS = "injection"
"""The detector of what users say; all that it finds `instruction` finds too."""
_MOST_CUTS = 8
"""After so many a passage is all commands, and goes."""
_SENTENCE_END = re.compile(r"[.!?。！？](?=\s|$)|[。！？]|\n")


@dataclass(frozen=True, slots=True)
class Screened:
    """What is left of the passages, and what was found."""

    passages: Sequence[Passage]
    findings: Sequence[Finding]


def data_detectors() -> list[Detector]:
    """Those that look for commands in what is only to be read."""
    return [
        each
        for name, (each, _) in detectors().items()
        if name != _FOR_USERS and KINDS & set(each.kinds)
    ]


def screen_passages(
    passages: Sequence[Passage],
    detectors: Sequence[Detector],
    on_injection: OnInjection,
    threshold: float,
    message: int,
) -> Screened:
    """The passages without those, or the sentences in them, that give orders.

    Args:
        message: index of the message that they become part of, for the findings.
    """
    kept: list[Passage] = []
    findings: list[Finding] = []
    for passage in passages:
        left: Passage | None = passage
        spans = _spans(passage, detectors, threshold)
        if spans:
            findings += (_finding(span, name, on_injection, message) for span, name in spans)
            if on_injection == "drop":
                left = None
            elif on_injection == "neutralise":
                left = _neutralised(passage, detectors, threshold)
        if left is not None:
            kept.append(left)
    return Screened(kept, findings)


def _spans(
    passage: Passage, detectors: Sequence[Detector], threshold: float
) -> list[tuple[Span, str]]:
    # The heading comes along into the prompt, so a command may hide there too.
    texts = (passage.text, passage.title, *passage.headings)
    return [
        (span, detector.name)
        for text in texts
        for detector in detectors
        for span in detector.detect(text)
        if span.kind in KINDS and span.score >= threshold
    ]


def _finding(span: Span, detector: str, done: OnInjection, message: int) -> Finding:
    return Finding(
        kind=span.kind,
        detector=detector,
        side="input",
        action="flag" if done == "flag" else "mask",
        start=span.start,
        end=span.end,
        score=span.score,
        message=message,
        note=span.note,
    )


def _neutralised(
    passage: Passage, detectors: Sequence[Detector], threshold: float
) -> Passage | None:
    """Without the sentences in which something is found; None when too little would be left."""
    text = passage.text
    for _ in range(_MOST_CUTS):
        found = _spans(replace(passage, text=text), detectors, threshold)
        if not found:
            return replace(passage, text=text) if text.replace(CUT, "").strip() else None
        if not _spans(replace(passage, title="", headings=(), text=text), detectors, threshold):
            return None  # it stands in a heading
        span = found[0][0]
        ends = [match.end() for match in _SENTENCE_END.finditer(text)]
        start = max((end for end in ends if end <= span.start), default=0)
        end = min((end for end in ends if end >= span.end), default=len(text))
        text = f"{text[:start].rstrip()} {CUT} {text[end:].lstrip()}".strip()
    return None
