"""The retriever: words and meanings in one score, over what the asker may read.

Both scores are known for every row, so the best of their weighted sum are the best there are; no
list of either side is cut off before. Who may read what is decided before anything is chosen.
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from headrace.errors import ModelUnavailable
from headrace.knowledge.index.best import best_rows
from headrace.knowledge.index.snapshot import Found, Snapshot
from headrace.knowledge.passage import Passage
from headrace.knowledge.settings import RetrievalSettings
from headrace.types import Embedder

__all__ = ["KnowledgeBase", "Reranker"]

Reranker: TypeAlias = Callable[[str, Sequence[str]], Awaitable[Sequence[float]]]
"""Scores (0 to 1) of texts for a query, by something slower and better."""

_POOL = 4
"""Candidates a passage is chosen from."""
_LEAST_POOL = 20
_LONGEST_MERGE = 3
"""Chunks that may become one passage."""

_log = logging.getLogger(__name__)


class KnowledgeBase:
    """A `Retriever` over one version of the index."""

    def __init__(
        self,
        snapshot: Snapshot,
        embedder: Embedder,
        settings: RetrievalSettings | None = None,
        rerank: Reranker | None = None,
    ) -> None:
        self._snapshot = snapshot
        self._embedder = embedder
        self._settings = settings or RetrievalSettings()
        self._rerank = rerank
        self._threads = ThreadPoolExecutor(self._settings.threads, "knowledge")

    @classmethod
    def open(
        cls, home: Path, embedder: Embedder, settings: RetrievalSettings | None = None
    ) -> "KnowledgeBase":
        """The newest version of the index below a service's home.

        Raises:
            KnowledgeUnusable: it cannot be read.
        """
        settings = settings or RetrievalSettings()
        return cls(Snapshot.open(home, settings.threads), embedder, settings)

    @property
    def version(self) -> str:
        """Content address of what can be found, and of how it is chosen."""
        chosen = msgspec.json.encode(
            (self._snapshot.version, self._settings, self._embedder.id), order="sorted"
        )
        return hashlib.sha256(chosen).hexdigest()

    def __len__(self) -> int:
        return len(self._snapshot)

    def close(self) -> None:
        """End it, once what searches is done."""
        self._threads.shutdown(wait=True)
        self._snapshot.close()

    async def search(
        self,
        query: str,
        *,
        limit: int,
        roles: AbstractSet[str],
        filters: Mapping[str, str] | None = None,
    ) -> list[Passage]:
        """The best passages, best first, of documents that one of `roles` may read."""
        if limit < 1 or not query.strip() or not len(self._snapshot):
            return []
        vector = await self._embedded(query)
        loop = asyncio.get_running_loop()
        rows, scores = await loop.run_in_executor(
            self._threads, self._candidates, query, vector, limit, frozenset(roles), filters
        )
        if self._rerank is not None and len(rows):
            found = await loop.run_in_executor(self._threads, self._snapshot.chunks, rows)
            scores = np.array(await self._rerank(query, [each.text for each in found]), np.float32)
        return await loop.run_in_executor(self._threads, self._passages, rows, scores, limit)

    async def passage(
        self, name: str, uri: str, start: int, end: int, *, roles: AbstractSet[str]
    ) -> Passage | None:
        """The passage with the id `name` at a span of a document, to open a citation.

        None if it does not stand there any more, or none of `roles` may read the document.
        """
        if not len(self._snapshot) or not 0 <= start <= end:
            return None
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, self._snapshot.span, uri, start, end, frozenset(roles)
        )
        return _passage(found, 1.0) if found is not None and found.id() == name else None

    async def _embedded(self, query: str) -> NDArray[np.float32] | None:
        """The query's vector; None where words alone have to do."""
        if self._settings.vector_weight == 0:
            return None
        if self._snapshot.embedder != self._embedder.id:
            _log.warning("the index was made by another embedding model: `headrace knowledge sync`")
            return None
        try:
            vector: NDArray[np.float32] = (await self._embedder.embed([query], kind="query"))[0]
        except ModelUnavailable as error:
            # Words still find something, and an answer with that is better than none.
            _log.warning("searching by words alone: %s", error.message)
            return None
        return vector

    def _candidates(
        self,
        query: str,
        vector: NDArray[np.float32] | None,
        limit: int,
        roles: frozenset[str],
        filters: Mapping[str, str] | None,
    ) -> tuple[list[int], NDArray[np.float32]]:
        snapshot, weight = self._snapshot, np.float32(self._settings.vector_weight)
        readable = snapshot.readable(roles, filters)
        words = snapshot.postings.scores(query, snapshot.norms)
        # Of readable rows only: what others may read must not even show in a score.
        best = float(words.max(where=readable, initial=0))
        fused = words / np.float32(best) if best > 0 else words
        if vector is not None:
            meaning = np.clip(snapshot.vectors @ vector, 0, 1)
            fused = fused * (1 - weight) + meaning * weight
        fused[~readable] = -1
        count = min(max(limit * _POOL, _LEAST_POOL), len(fused))
        rows = best_rows(fused, count)
        rows = rows[fused[rows] > 0]
        rows = rows[np.lexsort((rows, -fused[rows]))]
        return [int(row) for row in rows], np.minimum(fused[rows], 1)

    def _passages(self, rows: list[int], scores: NDArray[np.float32], limit: int) -> list[Passage]:
        chosen = self._diverse(rows, scores, limit)
        found = self._snapshot.chunks([rows[i] for i in chosen])
        scored = [(each, float(scores[i])) for each, i in zip(found, chosen, strict=True)]
        if self._settings.merge_neighbours:
            scored = self._merged(scored)
        return [_passage(each, score) for each, score in sorted(scored, key=lambda pair: -pair[1])]

    def _diverse(self, rows: list[int], scores: NDArray[np.float32], limit: int) -> list[int]:
        """Which candidates, by maximal marginal relevance (Carbonell and Goldstein, 1998)."""
        share = self._settings.diversity
        order = [int(i) for i in np.argsort(-scores, kind="stable")]
        if share == 0 or not self._snapshot.vectors.shape[1]:
            return order[:limit]
        vectors = self._snapshot.vectors[rows]
        likeness = np.zeros(len(rows), np.float32)
        chosen: list[int] = []
        left = np.ones(len(rows), bool)
        while left.any() and len(chosen) < limit:
            worth = np.where(left, (1 - share) * scores - share * likeness, -np.inf)
            pick = int(worth.argmax())
            chosen.append(pick)
            left[pick] = False
            likeness = np.maximum(likeness, vectors @ vectors[pick])
        return chosen

    def _merged(self, scored: list[tuple[Found, float]]) -> list[tuple[Found, float]]:
        """Chunks that touch, as one with the better score; tables and code stay as they are."""
        made: list[tuple[Found, float, int]] = []
        for each, score in sorted(scored, key=lambda pair: (pair[0].document, pair[0].start)):
            last = made[-1] if made else None
            if last is not None and last[2] < _LONGEST_MERGE and _touch(last[0], each):
                end = max(last[0].end, each.end)
                text = self._snapshot.text(each.document, last[0].start, end)
                one = replace(last[0], end=end, ordinal=each.ordinal, text=text)
                made[-1] = (one, max(last[1], score), last[2] + 1)
            else:
                made.append((each, score, 1))
        return [(each, score) for each, score, _ in made]


def _passage(found: Found, score: float) -> Passage:
    return Passage(
        id=found.id(),
        uri=found.uri,
        title=found.title,
        headings=found.headings,
        page=found.page,
        start=found.start,
        end=found.end,
        text=found.text,
        score=round(min(max(score, 0.0), 1.0), 6),
        metadata=found.metadata,
    )


def _touch(one: Found, next_one: Found) -> bool:
    return (
        one.document == next_one.document
        and one.ordinal + 1 == next_one.ordinal
        and one.headings == next_one.headings
        and not {one.kind, next_one.kind} & {"table", "code"}
    )
