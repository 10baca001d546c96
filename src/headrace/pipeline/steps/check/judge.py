"""How far each sentence of an answer is supported by the passages of its turn."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from headrace.knowledge.passage import Passage
from headrace.pipeline.pace import Pace
from headrace.screening.groundedness.sentence import Sentence, sentences, windows
from headrace.screening.groundedness.support import SupportModel
from headrace.types import Embedder, Support

__all__ = ["Judge", "Judged"]

_NEAREST = 2
"""Windows of the passages whose meaning is compared, for each claim: the nearest by words."""
_MOST_CLAIMS = 100
"""Of one answer; those behind are not judged, so that no answer takes seconds."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One claim of an answer."""

    sentence: Sentence
    support: Support


@dataclass(frozen=True, slots=True)
class _Window:
    passage: str
    text: str


class Judge:
    """Judges answers by words, and by meaning where the model was calibrated for the embedder."""

    def __init__(self, embedder: Embedder | None, threshold: float) -> None:
        self._model = SupportModel.load(embedder.id if embedder is not None else None)
        self._embedder = embedder if self._model.uses_similarity else None
        self._threshold = threshold

    async def judge(self, text: str, passages: Sequence[Passage]) -> list[Judged]:
        """Every sentence that claims something, in order."""
        claims = [each for each in sentences(text) if each.claims][:_MOST_CLAIMS]
        parts = [_Window(p.id, text) for p in passages for text in windows(p.text)]
        pace = Pace()
        scores: list[list[float]] = []
        for claim in claims:
            await pace.rest()
            scores.append([self._model.score(claim.text, part.text) for part in parts])
        if self._embedder is not None and claims and parts:
            scores = await self._with_meaning(self._embedder, claims, parts, scores)
        return [
            Judged(claim, self._support(claim, parts, row))
            for claim, row in zip(claims, scores, strict=True)
        ]

    async def _with_meaning(
        self,
        embedder: Embedder,
        claims: Sequence[Sentence],
        parts: Sequence[_Window],
        scores: Sequence[Sequence[float]],
    ) -> list[list[float]]:
        """The scores of the nearest windows by words, with the similarity of their meanings."""
        near = [heapq.nlargest(_NEAREST, range(len(parts)), key=row.__getitem__) for row in scores]
        used = sorted({at for row in near for at in row})
        texts = [*(claim.text for claim in claims), *(parts[at].text for at in used)]
        vectors = await embedder.embed(texts)
        place = {at: len(claims) + i for i, at in enumerate(used)}
        again: list[list[float]] = []
        for number, (claim, row) in enumerate(zip(claims, near, strict=True)):
            fresh = [0.0] * len(parts)
            for at in row:
                similarity = float(vectors[number] @ vectors[place[at]])
                fresh[at] = self._model.score(claim.text, parts[at].text, similarity)
            again.append(fresh)
        return again

    def _support(
        self, claim: Sentence, parts: Sequence[_Window], scores: Sequence[float]
    ) -> Support:
        best = max(range(len(parts)), key=scores.__getitem__, default=None)
        score = scores[best] if best is not None else 0.0
        return Support(
            start=claim.start,
            end=claim.end,
            score=round(score, 3),
            supported=score >= self._threshold,
            passage=parts[best].passage if best is not None else None,
        )
