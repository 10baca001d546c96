"""Where the index is: below the service's home, or on a PostgreSQL server.

The engines are imported when they are used: the driver of a server is not always installed.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from headrace.knowledge.errors import KnowledgeUnusable
from headrace.knowledge.index.cache import VectorCache
from headrace.knowledge.index.entry import Entry, Item
from headrace.knowledge.index.found import Index
from headrace.knowledge.index.list import Listed, Statistics, documents, statistics
from headrace.knowledge.index.retriever import KnowledgeBase
from headrace.knowledge.index.snapshot import Snapshot
from headrace.knowledge.index.store import IndexStore
from headrace.knowledge.settings import RetrievalSettings, SourceSettings
from headrace.storage.errors import StateUnusable
from headrace.types import Embedder

__all__ = ["Cache", "IndexPlace", "Store"]


class Store(Protocol):
    """Writes versions of an index; one writer at a time. See `IndexStore`."""

    def meta(self, key: str) -> str: ...
    def items(self) -> dict[str, Item]: ...
    def sources(self) -> list[SourceSettings]: ...
    def add_sources(self, sources: Sequence[SourceSettings]) -> None: ...
    def remove_source(self, name: str) -> None: ...
    def announce(self) -> None: ...
    def publish(
        self,
        entries: Sequence[Entry],
        vectors: NDArray[np.float32],
        items: Sequence[Item],
        gone: Sequence[str],
        told: Sequence[tuple[str, SourceSettings]],
        *,
        settings: str,
        embedder: str,
    ) -> str: ...


class Cache(Protocol):
    """Keeps embeddings by text. See `VectorCache`."""

    def known(self, digests: Sequence[bytes]) -> set[bytes]: ...
    def vectors(self, digests: Sequence[bytes]) -> NDArray[np.float32]: ...
    def put(self, digests: Sequence[bytes], vectors: NDArray[np.float32]) -> None: ...


@dataclass(frozen=True, slots=True)
class IndexPlace:
    """See the module. Everything it opens raises KnowledgeUnusable."""

    home: Path
    server: str | None = None
    """Address of the database server; None: files of the home."""

    def base(self, embedder: Embedder, settings: RetrievalSettings) -> KnowledgeBase:
        """The newest version, to be searched."""
        return KnowledgeBase(self._index(settings.threads), embedder, settings)

    def _index(self, threads: int) -> Index:
        if self.server is None:
            return Snapshot.open(self.home, threads)
        _need_driver()
        from headrace.knowledge.index.postgres.snapshot import PostgresSnapshot

        return PostgresSnapshot.open(self.server, threads)

    def store(self) -> AbstractContextManager[Store]:
        """The store, for one writer."""
        if self.server is None:
            return IndexStore.open(self.home)
        _need_driver()
        from headrace.knowledge.index.postgres.store import PostgresStore

        return PostgresStore.open(self.server)

    def cache(self, embedder: str) -> AbstractContextManager[Cache]:
        """The kept vectors of one embedder."""
        if self.server is None:
            return VectorCache.open(self.home, embedder)
        from headrace.knowledge.index.postgres.cache import PostgresCache

        return PostgresCache.open(self.server, embedder)

    def documents(self) -> list[Listed]:
        """Every document, by name."""
        if self.server is None:
            return documents(self.home)
        _need_driver()
        from headrace.knowledge.index.postgres import list as listing

        return listing.documents(self.server)

    def statistics(self) -> Statistics:
        """How much there is."""
        if self.server is None:
            return statistics(self.home)
        _need_driver()
        from headrace.knowledge.index.postgres import list as listing

        return listing.statistics(self.server)


def _need_driver() -> None:
    from headrace.storage.postgres import driver

    try:
        driver()
    except StateUnusable as error:
        raise KnowledgeUnusable(error.message, hint=error.hint) from error
