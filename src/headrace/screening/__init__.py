"""Screening: what a prompt or an answer may contain, and what happens when it does not.

Read finding.py (what a detector reports), rule.py and policy.py (what to do about it), prompt.py
and answer.py (how both act on a text, whole or streamed), masking.py (how masked values come
back). Detectors live one to a file in detectors/; the step that screens a turn is
pipeline/steps/screen.py.
"""

from headrace.screening.finding import (
    Action,
    CostlyDetector,
    Detector,
    Finding,
    Side,
    Span,
    StreamDetector,
    Tools,
)

__all__ = [
    "Action",
    "CostlyDetector",
    "Detector",
    "Finding",
    "Side",
    "Span",
    "StreamDetector",
    "Tools",
]
