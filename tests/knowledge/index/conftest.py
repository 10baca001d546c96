"""A knowledge base in a folder of its own."""

from pathlib import Path

import pytest

from headrace.knowledge.index.cache import VectorCache
from headrace.knowledge.index.retriever import KnowledgeBase
from headrace.knowledge.index.store import IndexStore
from headrace.knowledge.ingest import Report, sync
from headrace.knowledge.settings import KnowledgeSection, RetrievalSettings, SourceSettings
from tests.knowledge.index.hashing import HashingEmbedder


class Base:
    """A service's folder with documents in `docs/`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.home = root / ".headrace"
        self.home.mkdir()
        self.docs = root / "docs"
        self.docs.mkdir()
        self.embedder = HashingEmbedder()
        self.sources: tuple[SourceSettings, ...] = (SourceSettings(path="docs"),)

    def write(self, name: str, text: str) -> Path:
        path = self.docs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    async def sync(self) -> Report:
        with (
            IndexStore.open(self.home) as store,
            VectorCache.open(self.home, self.embedder.id) as cache,
        ):
            section = KnowledgeSection(sources=self.sources)
            return await sync(store, cache, self.embedder, section, self.root)

    def open(self, settings: RetrievalSettings | None = None) -> KnowledgeBase:
        return KnowledgeBase.open(self.home, self.embedder, settings)

    async def find(self, query: str, *roles: str, **filters: str) -> list[str]:
        base = self.open()
        found = await base.search(query, limit=5, roles=set(roles), filters=filters)
        base.close()
        return [each.uri for each in found]


@pytest.fixture
def base(tmp_path: Path) -> Base:
    return Base(tmp_path)
