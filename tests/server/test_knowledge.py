"""The knowledge base of a running service."""

from pathlib import Path

from headrace.config.load import load_service
from headrace.knowledge.index.cache import VectorCache
from headrace.knowledge.index.store import CURRENT_FILE, IndexStore
from headrace.knowledge.ingest import sync
from headrace.knowledge.settings import KnowledgeSection, SourceSettings
from headrace.server.knowledge import CURRENT, read_glossary
from tests.knowledge.index.hashing import HashingEmbedder

SERVICE = """\
models:
  small: {deployments: [{backend: embedded, weights: "file:small.gguf"}]}
pipeline: [generate]
knowledge: {}
entities: {documents: true, names: [{name: Mill Anna}]}
"""


def test_the_file_that_is_watched_is_the_one_that_a_sync_writes_last() -> None:
    assert CURRENT == CURRENT_FILE


async def test_titles_of_documents_are_names_for_those_who_may_read_them(tmp_path: Path) -> None:
    (tmp_path / "headrace.yaml").write_text(SERVICE)
    (tmp_path / "travel.md").write_text("# Travel Policy\n\nTrains are booked in class 2.\n")
    home, embedder = tmp_path / "home", HashingEmbedder()
    home.mkdir()
    config = load_service(tmp_path, {})
    before = read_glossary(config, home, {})
    assert [each.name for each in before.entities] == ["Mill Anna"]
    section = KnowledgeSection(sources=(SourceSettings(path="travel.md", readers=("admin",)),))
    with IndexStore.open(home) as store, VectorCache.open(home, embedder.id) as cache:
        await sync(store, cache, embedder, section, tmp_path)
    after = read_glossary(config, home, {})
    assert [(each.name, each.kind, each.readers) for each in after.entities] == [
        ("Mill Anna", "other", ()),
        ("Travel Policy", "document", ("admin",)),
    ]
    assert before.version != after.version
