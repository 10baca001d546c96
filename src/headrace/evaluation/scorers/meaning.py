"""Scorers that compare meanings: by embeddings, and by what sources support."""

import heapq
from collections.abc import Sequence

from headrace.evaluation.scorer import (
    Score,
    Scored,
    Scorer,
    Settings,
    Tools,
    only,
    target_of,
)
from headrace.evaluation.suite import Case
from headrace.screening.groundedness.sentence import sentences, windows
from headrace.screening.groundedness.support import SupportModel
from headrace.types import Embedder

__all__ = ["grounded", "similarity"]

_NEAREST = 2
"""Windows of the sources whose meaning is compared, for each claim: the nearest by words."""


def similarity(settings: Settings, tools: Tools) -> Scorer:
    """The cosine of answer and target, by the service's embedding model; below 0 counts as 0.

    What is near in meaning can still be wrong: "50" and "60" days are close.
    """
    only(settings)

    async def score(scored: Scored) -> Score:
        if not scored.answer.text.strip():
            return Score(value=0.0, note="empty answer")
        embedder = await tools.embedder()
        one, two = await embedder.embed([scored.answer.text, target_of(scored.case)])
        return Score(value=min(1.0, max(0.0, float(one @ two))))

    return Scorer(score, check=_check_target, asks=True)


def grounded(settings: Settings, tools: Tools) -> Scorer:
    """The share of the answer's claims that its sources support; 1 when it claims nothing.

    Sources are the case's, or the passages that the pipeline looked up for the answer.
    """
    only(settings, "threshold")
    threshold = settings.get("threshold", 0.5)
    if not isinstance(threshold, int | float) or not 0 <= threshold <= 1:
        raise ValueError("`threshold` is a number from 0 to 1")

    async def score(scored: Scored) -> Score:
        sources = scored.case.sources or scored.answer.sources
        claims = [each.text for each in sentences(scored.answer.text) if each.claims]
        if not claims:
            return Score(value=1.0, note="claims nothing")
        parts = [part for source in sources for part in windows(source)]
        if not parts:
            return Score(value=0.0, note="no sources")
        support = await _support(claims, parts, await tools.embedder())
        wrong = sum(each < threshold for each in support)
        note = f"{wrong} of {len(claims)} claims are not supported" if wrong else ""
        return Score(value=1 - wrong / len(claims), note=note)

    return Scorer(score, asks=True)


async def _support(
    claims: Sequence[str], parts: Sequence[str], embedder: Embedder
) -> Sequence[float]:
    """How far each claim is supported, by words and, where that was calibrated, by meaning."""
    model = SupportModel.load(embedder.id)
    by_words = [[model.score(claim, part) for part in parts] for claim in claims]
    if not model.uses_similarity:
        return [max(row) for row in by_words]
    near = [heapq.nlargest(_NEAREST, range(len(parts)), key=row.__getitem__) for row in by_words]
    used = sorted({at for row in near for at in row})
    vectors = await embedder.embed([*claims, *(parts[at] for at in used)])
    place = {at: len(claims) + index for index, at in enumerate(used)}
    return [
        max(
            model.score(claim, parts[at], float(vectors[number] @ vectors[place[at]]))
            for at in near[number]
        )
        for number, claim in enumerate(claims)
    ]


def _check_target(case: Case) -> None:
    target_of(case)
