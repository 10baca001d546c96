"""The index on PostgreSQL beside the embedded one: the same passages, and what only a server has."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray

from headrace.knowledge.errors import KnowledgeUnusable
from headrace.knowledge.index.postgres import segment, snapshot, store
from headrace.knowledge.index.postgres.schema import hnsw_name
from headrace.knowledge.passage import Passage
from headrace.knowledge.settings import RetrievalSettings, SourceSettings
from tests.knowledge.index.conftest import Base
from tests.knowledge.index.hashing import HashingEmbedder
from tests.postgres import PostgresServer

REPOSITORY = Path(__file__).parents[3]
PLAIN = RetrievalSettings(merge_neighbours=False)


@pytest.fixture
def pair(tmp_path: Path, postgres_database: str) -> tuple[Base, Base]:
    """An embedded knowledge base and one on a server, over the same folder."""
    return Base(tmp_path), Base(tmp_path, postgres_database)


async def found(base: Base, query: str, *roles: str) -> list[tuple[str, int, int]]:
    opened = base.open(PLAIN)
    passages = await opened.search(query, limit=10, roles=set(roles))
    opened.close()
    return [(each.uri, each.start, round(1e4 * each.score)) for each in passages]


@pytest.mark.parametrize("by_index", [False, True])
async def test_questions_find_the_same_passages_with_the_same_scores(
    pair: tuple[Base, Base], monkeypatch: pytest.MonkeyPatch, *, by_index: bool
) -> None:
    """Whether all vectors are looked at, or an index finds the nearest."""
    if by_index:
        monkeypatch.setattr(store, "HNSW_FROM", 100)
        monkeypatch.setattr(snapshot, "EXACT_ROWS", 100)
    sources = (SourceSettings(path=str(REPOSITORY / "docs"), include=("[a-h]*.md",)),)
    versions = []
    for base in pair:
        base.sources = sources
        versions.append((await base.sync()).version)
    assert versions[0] == versions[1]
    embedded, server = (base.open(PLAIN) for base in pair)
    assert server._snapshot._has_index == by_index  # type: ignore[attr-defined]

    def seen(passages: list[Passage]) -> dict[tuple[str, int], float]:
        return {(each.uri, each.start): each.score for each in passages}

    with (REPOSITORY / "bench/retrieval/data/docs.tsv").open(encoding="utf-8") as file:
        questions = [row[1] for row in csv.reader(file, delimiter="\t")][::2]
    for question in questions:
        one = seen(await embedded.search(question, limit=10, roles=set()))
        other = seen(await server.search(question, limit=10, roles=set()))
        # Chunks with the same score may take each other's place; the scores are the same.
        assert sorted(one.values()) == pytest.approx(sorted(other.values()), abs=2e-6), question
    embedded.close()
    server.close()


class WideEmbedder(HashingEmbedder):
    """The same vectors with more numbers."""

    def __init__(self, width: int) -> None:
        super().__init__(f"wide-{width}")
        self._width = width

    async def embed(
        self, texts: Sequence[str], *, kind: Literal["query", "passage"] = "passage"
    ) -> NDArray[np.float32]:
        made = await super().embed(texts, kind=kind)
        return np.pad(made, ((0, 0), (0, self._width - made.shape[1])))


@pytest.mark.parametrize(("width", "by_index"), [(3072, True), (4096, False)])
async def test_vectors_of_large_embedding_models_are_found(
    tmp_path: Path,
    postgres_database: str,
    monkeypatch: pytest.MonkeyPatch,
    width: int,
    *,
    by_index: bool,
) -> None:
    """Also those that are too wide for an index."""
    monkeypatch.setattr(store, "HNSW_FROM", 3)
    monkeypatch.setattr(snapshot, "EXACT_ROWS", 3)
    base = Base(tmp_path, postgres_database)
    base.embedder = WideEmbedder(width)
    for each in ("mill", "wheel", "water", "flour"):
        base.write(f"{each}.md", f"The {each}.")
    await base.sync()
    opened = base.open(RetrievalSettings(vector_weight=1))
    assert opened._snapshot._has_index == by_index  # type: ignore[attr-defined]
    found = await opened.search("The wheel.", limit=1, roles=set())
    opened.close()
    assert [each.uri for each in found] == ["docs/wheel.md"]


async def test_an_index_of_an_earlier_version_is_replaced(
    tmp_path: Path, postgres_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = Base(tmp_path, postgres_database)
    base.write("mill.md", "The mill.")
    await base.sync()
    width = (await base.embedder.embed(["mill"])).shape[1]
    before = f"embedding_hnsw_{width}"
    with base.place.store() as opened:
        database = opened._database  # type: ignore[attr-defined]
        database.execute(
            f"CREATE INDEX {before} ON embedding"
            f" USING hnsw ((vector::vector({width})) vector_ip_ops)"
            f" WHERE vector_dims(vector) = {width}"
        )
    monkeypatch.setattr(store, "HNSW_FROM", 1)
    base.write("wheel.md", "The wheel.")
    await base.sync()
    with base.place.store() as opened:
        found = opened._database.execute(  # type: ignore[attr-defined]
            "SELECT to_regclass(%s), to_regclass(%s)", (before, hnsw_name(width))
        ).fetchone()
    assert found == (None, hnsw_name(width))


async def test_many_versions_leave_few_segments_and_the_same_answers(
    pair: tuple[Base, Base], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment, "MOST_SEGMENTS", 4)
    monkeypatch.setattr(segment, "_MERGED", 3)
    embedded, server = pair
    for round_ in range(10):
        server.write(f"{round_}.md", f"# Mill {round_}\n\n水车 {round_} turns the wheel.\n")
        if round_ > 4:
            (server.docs / f"{round_ - 5}.md").unlink()
        await server.sync()
    await embedded.sync()
    opened = server.open(PLAIN)
    assert len(opened._snapshot._words._places) <= 4  # type: ignore[attr-defined]
    opened.close()
    for query in ("mill 7", "水车", "wheel turns"):
        assert sorted(await found(server, query)) == sorted(await found(embedded, query))


async def test_old_versions_are_deleted_once_nobody_reads_them(
    tmp_path: Path, postgres_database: str, postgres: PostgresServer
) -> None:
    base = Base(tmp_path, postgres_database)
    name = postgres_database.rpartition("/")[2].partition("?")[0]

    def rows() -> list[object]:
        tables = ("document", "chunk", "embedding", "segment")
        return [
            postgres.execute(f"SELECT count(*) FROM headrace_knowledge.{each}", name=name)[0][0]
            for each in tables
        ]

    path = base.write("a.md", "Water drives the mill.")
    await base.sync()
    reader = base.open()
    path.write_text("Wind drives the mill.", "utf-8")
    await base.sync()
    assert rows() == [2, 2, 2, 2]
    assert [each.text for each in await reader.search("mill", limit=1, roles=set())] == [
        "Water drives the mill."
    ]
    reader.close()
    path.write_text("Steam drives the mill.", "utf-8")
    await base.sync()
    assert rows() == [1, 1, 1, 1]


async def test_a_reader_goes_on_after_the_server_cut_it_off(
    tmp_path: Path, postgres_database: str, postgres: PostgresServer
) -> None:
    base = Base(tmp_path, postgres_database)
    base.write("a.md", "Water drives the mill.")
    await base.sync()
    reader = base.open()
    cut_off = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname LIKE 'test%' AND pid <> pg_backend_pid()"
    )
    postgres.execute(cut_off)
    assert [each.uri for each in await reader.search("mill", limit=1, roles=set())] == ["docs/a.md"]
    reader.close()


async def test_a_reader_whose_version_went_while_it_was_cut_off_says_so(
    tmp_path: Path, postgres_database: str, postgres: PostgresServer
) -> None:
    base = Base(tmp_path, postgres_database)
    path = base.write("a.md", "Water drives the mill.")
    await base.sync()
    reader = base.open()
    postgres.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname LIKE 'test%' AND pid <> pg_backend_pid()"
    )
    path.write_text("Wind drives the mill.", "utf-8")
    await base.sync()
    with pytest.raises(KnowledgeUnusable, match="version of the knowledge base is gone"):
        await reader.search("mill", limit=1, roles=set())
    reader.close()


def test_a_user_who_may_not_load_pgvector_is_told_what_to_run(
    tmp_path: Path, postgres_database: str, postgres: PostgresServer
) -> None:
    name = postgres_database.rpartition("/")[2].partition("?")[0]
    postgres.execute("DROP EXTENSION IF EXISTS vector CASCADE", name=name)
    postgres.execute("DROP ROLE IF EXISTS guest", "CREATE ROLE guest LOGIN")
    base = Base(tmp_path, postgres_database.replace("//headrace@", "//guest@"))
    with pytest.raises(KnowledgeUnusable) as raised, base.place.store():
        pass
    assert "CREATE EXTENSION vector" in raised.value.hint
