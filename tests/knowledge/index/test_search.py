"""Search: who may read what, filters, scores, diversity, neighbours."""

import asyncio

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.knowledge.document import Chunk, Document
from headrace.knowledge.index.entry import Entry
from headrace.knowledge.index.place import IndexPlace
from headrace.knowledge.index.retriever import KnowledgeBase
from headrace.knowledge.settings import RetrievalSettings, SourceSettings
from tests.knowledge.index.conftest import Base
from tests.knowledge.index.hashing import HashingEmbedder

ROLES = ["admin", "member", "guest", "team:mill"]
ENTRIES = st.lists(
    st.tuples(
        st.lists(st.sampled_from(["mill", "wheel", "water", "水车"]), min_size=1, max_size=4),
        st.sets(st.sampled_from(ROLES), max_size=3),
        st.sampled_from(["de", "en"]),
    ),
    min_size=1,
    max_size=12,
)


def stored(place: IndexPlace, documents: list[tuple[list[str], set[str], str]]) -> KnowledgeBase:
    """A knowledge base of one-chunk documents, opened."""
    entries = []
    for i, (words, readers, language) in enumerate(documents):
        text = " ".join(words)
        document = Document(
            uri=f"{i}",
            title="",
            text=text,
            blocks=(),
            media_type="text/plain",
            digest=str(i),
            metadata={"language": language},
        )
        piece = Chunk(ordinal=0, start=0, end=len(text), text=text, kind="text")
        entries.append(
            Entry(document=document, chunks=[piece], origin=f"{i}", readers=tuple(sorted(readers)))
        )
    embedder = HashingEmbedder()
    vectors = asyncio.run(embedder.embed([text for each in entries for text in each.texts()]))
    gone = [each.uri for each in place.documents()]
    with place.store() as store:
        store.publish(entries, vectors, [], gone, [], settings="", embedder=embedder.id)
    return place.base(embedder, RetrievalSettings())


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(documents=ENTRIES, roles=st.sets(st.sampled_from(ROLES)), limit=st.integers(1, 15))
def test_nobody_finds_what_they_may_not_read_and_misses_nothing_that_they_may(
    base: Base, documents: list[tuple[list[str], set[str], str]], roles: set[str], limit: int
) -> None:
    opened = stored(base.place, documents)
    found = asyncio.run(
        opened.search("mill wheel 水车 water", limit=limit, roles=roles, filters={"language": "en"})
    )
    opened.close()
    allowed = {
        str(i)
        for i, (_, readers, language) in enumerate(documents)
        if language == "en" and (not readers or readers & roles)
    }
    assert {each.uri for each in found} <= allowed
    # A filter after the choice would come back with fewer than there are.
    assert len(found) == min(limit, len(allowed))
    assert all(0 <= each.score <= 1 for each in found)


async def test_readers_that_change_count_at_the_next_sync_without_reading_again(base: Base) -> None:
    base.write("a.md", "Water drives the mill.")
    base.sources = (SourceSettings(path="docs", readers=("admin",)),)
    first = await base.sync()
    assert await base.find("mill", "guest") == []
    assert await base.find("mill", "admin") == ["docs/a.md"]
    base.sources = (SourceSettings(path="docs", readers=("guest",)),)
    second = await base.sync()
    assert (second.unchanged, second.embedded) == (1, 0)
    assert second.version != first.version
    assert await base.find("mill", "guest") == ["docs/a.md"]
    assert await base.find("mill", "admin") == []


async def test_touching_chunks_come_as_one_passage_of_the_document(base: Base) -> None:
    text = " ".join(f"Sentence {i} says that the mill grinds flour number {i}." for i in range(60))
    base.write("a.md", f"# Mill\n\n{text}\n")
    await base.sync()
    opened = base.open()
    (one, *_) = await opened.search("mill flour", limit=2, roles=set())
    opened.close()
    assert one.end - one.start == len(one.text)
    split = base.open(RetrievalSettings(merge_neighbours=False))
    assert len(await split.search("mill flour", limit=2, roles=set())) == 2
    split.close()


async def test_a_search_without_an_index_finds_nothing(base: Base) -> None:
    assert await base.find("mill") == []


async def test_a_reranker_decides_the_order(base: Base) -> None:
    base.write("a.md", "mill mill mill")
    base.write("b.md", "mill and a pond")
    await base.sync()

    async def rerank(query: str, texts: list[str]) -> list[float]:
        return [float("pond" in text) for text in texts]

    opened = base.open()
    opened._rerank = rerank  # type: ignore[assignment]  # a list is a sequence
    found = await opened.search("mill", limit=2, roles=set())
    opened.close()
    assert found[0].uri == "docs/b.md"
    assert np.isclose(found[0].score, 1)
