"""URLs as sources of an index: loaded once, left alone while unchanged, refused by themselves."""

from functools import partial
from pathlib import Path

from headrace.knowledge.index.cache import VectorCache
from headrace.knowledge.index.store import IndexStore
from headrace.knowledge.ingest import Report, sync
from headrace.knowledge.read.fetch import fetch
from headrace.knowledge.read.settings import ReadSettings
from headrace.knowledge.read.source import Source
from headrace.knowledge.settings import KnowledgeSection, SourceSettings
from tests.knowledge.index.hashing import HashingEmbedder
from tests.knowledge.read.conftest import Names, Site


async def test_urls_are_loaded_once_and_asked_again_by_their_etag(
    site: Site, tmp_path: Path
) -> None:
    port = await site.listen()
    page, inside = f"http://docs.test:{port}/a.md", "http://inside.test/"
    site.page("/a.md", b"# Mill\n\nOpen the sluice.", etag='"v1"')
    settings = ReadSettings(private_hosts=("docs.test",))
    names = Names(docs_test=[["127.0.0.1"]], inside_test=[["10.0.0.1"]])

    async def run() -> Report:
        section = KnowledgeSection(
            sources=(SourceSettings(url=page), SourceSettings(url=inside)), read=settings
        )
        embedder = HashingEmbedder()
        with (
            IndexStore.open(tmp_path) as store,
            VectorCache.open(tmp_path, embedder.id) as cache,
        ):
            load = partial(_fetched, settings, names)
            return await sync(store, cache, embedder, section, tmp_path, fetch=load)

    first = await run()
    assert first.added == [page]
    assert "private address 10.0.0.1" in first.unread[0].reason
    site.page("/a.md", b"", status="304 Not Modified")
    second = await run()
    assert (second.unchanged, second.changed) == (1, False)
    assert 'if-none-match: "v1"' in site.asked[1].lower()
    site.page("/a.md", b"gone", status="404 Not Found")
    third = await run()
    assert [each.source for each in third.unread] == [page, inside]
    assert third.version == first.version


async def _fetched(
    settings: ReadSettings, names: Names, url: str, etag: str, date: str
) -> Source | None:
    return await fetch(url, settings, etag, date, lookup=names)
