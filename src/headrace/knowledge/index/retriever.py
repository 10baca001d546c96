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
from headrace.knowledge.index.found import Best, Found, Index
from headrace.knowledge.index.snapshot import Snapshot
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
        snapshot: Index,
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
        best = await loop.run_in_executor(
            self._threads, self._best, query, vector, limit, frozenset(roles), filters
        )
        if self._rerank is not None and best.rows:
            found = await loop.run_in_executor(self._threads, self._snapshot.chunks, best.rows)
            scored = await self._rerank(query, [each.text for each in found])
            best = replace(best, scores=np.array(scored, np.float32))
        return await loop.run_in_executor(self._threads, self._passages, best, limit)

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

    def _best(
        self,
        query: str,
        vector: NDArray[np.float32] | None,
        limit: int,
        roles: frozenset[str],
        filters: Mapping[str, str] | None,
    ) -> Best:
        return self._snapshot.best(
            query,
            vector,
            weight=self._settings.vector_weight,
            count=max(limit * _POOL, _LEAST_POOL),
            roles=roles,
            filters=filters,
        )

    def _passages(self, best: Best, limit: int) -> list[Passage]:
        chosen = self._diverse(best, limit)
        found = self._snapshot.chunks([best.rows[i] for i in chosen])
        scored = [(each, float(best.scores[i])) for each, i in zip(found, chosen, strict=True)]
        if self._settings.merge_neighbours:
            scored = self._merged(scored)
        return [_passage(each, score) for each, score in sorted(scored, key=lambda pair: -pair[1])]

    def _diverse(self, best: Best, limit: int) -> list[int]:
        """Which candidates, by maximal marginal relevance (Carbonell and Goldstein, 1998)."""
        share = self._settings.diversity
        if share == 0 or not best.vectors.shape[1]:
            return [int(i) for i in np.argsort(-best.scores, kind="stable")][:limit]
        likeness = np.zeros(len(best.rows), np.float32)
        chosen: list[int] = []
        left = np.ones(len(best.rows), bool)
        while left.any() and len(chosen) < limit:
            worth = np.where(left, (1 - share) * best.scores - share * likeness, -np.inf)
            pick = int(worth.argmax())
            chosen.append(pick)
            left[pick] = False
            likeness = np.maximum(likeness, best.vectors @ best.vectors[pick])
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
