"""A knowledge base in a folder of its own."""

from pathlib import Path

import pytest

from headrace.knowledge.index.place import IndexPlace
from headrace.knowledge.index.retriever import KnowledgeBase
from headrace.knowledge.ingest import Report, sync
from headrace.knowledge.settings import KnowledgeSection, RetrievalSettings, SourceSettings
from tests.knowledge.index.hashing import HashingEmbedder
from tests.postgres import ENGINES


class Base:
    """A service's folder with documents in `docs/`."""

    def __init__(self, root: Path, server: str | None = None) -> None:
        self.root = root
        self.home = root / ".headrace"
        self.home.mkdir(exist_ok=True)
        self.place = IndexPlace(self.home, server)
        self.docs = root / "docs"
        self.docs.mkdir(exist_ok=True)
        self.embedder = HashingEmbedder()
        self.sources: tuple[SourceSettings, ...] = (SourceSettings(path="docs"),)

    def write(self, name: str, text: str) -> Path:
        path = self.docs / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
        return path

    async def sync(self) -> Report:
        with (
            self.place.store() as store,
            self.place.cache(self.embedder.id) as cache,
        ):
            section = KnowledgeSection(sources=self.sources)
            return await sync(store, cache, self.embedder, section, self.root)

    def open(self, settings: RetrievalSettings | None = None) -> KnowledgeBase:
        return self.place.base(self.embedder, settings or RetrievalSettings())

    async def find(self, query: str, *roles: str, **filters: str) -> list[str]:
        base = self.open()
        found = await base.search(query, limit=5, roles=set(roles), filters=filters)
        base.close()
        return [each.uri for each in found]


@pytest.fixture(params=ENGINES)
def server(request: pytest.FixtureRequest) -> str | None:
    """The address of an empty database of its own; None: the index is in files."""
    if request.param == "sqlite":
        return None
    address: str = request.getfixturevalue("postgres_database")
    return address


@pytest.fixture
def base(tmp_path: Path, server: str | None) -> Base:
    return Base(tmp_path, server)
