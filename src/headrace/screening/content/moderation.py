"""How a whole text scores in each of OpenAI's moderation categories."""

from functools import cache
from typing import Protocol, runtime_checkable

from headrace.screening.content.classifier import ContentClassifier
from headrace.screening.content.kind import CATEGORIES
from headrace.screening.registry import detectors

__all__ = ["moderation_scores", "moderation_version"]


@runtime_checkable
class Scoring(Protocol):
    """A detector that can say how far a text goes in each of its kinds."""

    @property
    def kinds(self) -> tuple[str, ...]: ...

    def scores(self, text: str) -> dict[str, float]: ...


def moderation_scores(text: str) -> dict[str, float]:
    """Every category with its highest score in any sentence, between 0 and 1."""
    scores: dict[str, float] = dict.fromkeys(CATEGORIES, 0.0)
    for detector in _moderators():
        for kind, score in detector.scores(text).items():
            if kind in scores:
                scores[kind] = max(scores[kind], score)
    return scores


def moderation_version() -> str:
    """What made the scores: the beginning of the weights' digest."""
    return ContentClassifier.load().version.removeprefix("sha256:")[:12]


@cache
def _moderators() -> tuple[Scoring, ...]:
    wanted = {*CATEGORIES}
    return tuple(
        each
        for each, _ in detectors().values()
        if isinstance(each, Scoring) and wanted & {*each.kinds}
    )
