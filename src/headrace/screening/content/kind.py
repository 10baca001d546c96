"""The kinds of content that are told apart, and the levels of their scores.

Names are OpenAI's moderation categories where it has one, letter by letter; the others are ours.
"""

from typing import Final, Literal, TypeAlias

__all__ = [
    "CATEGORIES",
    "FLOOR_KIND",
    "HEADS",
    "LEVELS",
    "REPORTED",
    "TOPICS",
    "Level",
    "level_of",
]

CATEGORIES = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)
"""OpenAI's, in its order."""

FLOOR_KIND: Final = "sexual/minors"
"""What no policy lets pass, see floor.py."""

TOPICS = ("medical_advice", "legal_advice", "financial_advice", "elections")
"""What a policy may want a source or a disclaimer for."""

HEADS = (
    "harassment",
    "hate",
    "illicit",
    "self-harm",
    "sexual",
    "violence",
    "stereotype",
    "medical_advice",
    "legal_advice",
    "financial_advice",
)
"""What the classifier was trained on, in the order of its weights. The rest is rules."""

Level: TypeAlias = Literal["low", "medium", "high"]

LEVELS: dict[Level, float] = {"low": 0.5, "medium": 0.7, "high": 0.9}
"""From which score on a finding has the level: what a policy's `threshold` takes."""

REPORTED = LEVELS["low"]
"""Detectors report nothing below it."""


def level_of(score: float) -> Level | None:
    """The level of a score, or None where there is no finding."""
    reached: list[Level] = [level for level, least in LEVELS.items() if score >= least]
    return reached[-1] if reached else None
