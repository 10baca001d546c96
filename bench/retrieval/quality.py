"""How well passages are found: `python bench/retrieval/quality.py`.

Questions over this repository's docs (a document is right), over short passages in Chinese and in
English, and over the questions and answers of a published corpus: `pip install rank-bm25 sqlite-vec
apsw chatterbot-corpus` beforehand; what is not installed is left out. Each way ranks the same chunks
with the same vectors, once for each built-in embedding model. Every second question is held out: the
share of vectors that is best on the others, over all sets together, is printed with what it gets on
the questions held out. Not covered: whether a passage of the right document holds the answer.
"""

import asyncio
import contextlib
import math
import os
import sys
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
import yaml

from headrace.knowledge.chunk.chunk import chunk
from headrace.knowledge.chunk.settings import ChunkSettings
from headrace.knowledge.document import Block, Document
from headrace.knowledge.index.entry import Entry
from headrace.knowledge.index.retriever import KnowledgeBase
from headrace.knowledge.index.store import IndexStore
from headrace.knowledge.index.term import terms
from headrace.knowledge.read.read import read
from headrace.knowledge.read.settings import ReadSettings
from headrace.knowledge.read.source import load_file
from headrace.knowledge.settings import RetrievalSettings
from headrace.models.builder import BUILTIN
from headrace.models.embedder import open_embedder
from headrace.types import Embedder

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
DEPTH = 10
WEIGHTS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
Ranking = Callable[[str], Awaitable[list[str]]]
Questions = list[tuple[str, str]]


def _tsv(name: str) -> list[list[str]]:
    lines = (HERE / "data" / name).read_text("utf-8").splitlines()
    return [line.split("\t") for line in lines if line]


def docs() -> tuple[list[Document], Questions]:
    names = [*(ROOT / "docs").rglob("*.md")]
    found = [
        each
        for path in sorted(names)
        for each in read(load_file(path, ReadSettings(), str(path.relative_to(ROOT / "docs"))))
    ]
    return found, [(question, name) for name, question in _tsv("docs.tsv")]


def chinese() -> tuple[list[Document], Questions]:
    return _passages([*_tsv("chinese.tsv"), *(row[:2] for row in _tsv("parallel.tsv"))])


def english() -> tuple[list[Document], Questions]:
    return _passages([row[2:] for row in _tsv("parallel.tsv")])


def _passages(rows: list[list[str]]) -> tuple[list[Document], Questions]:
    found = [_document(str(i), text) for i, (text, _) in enumerate(rows)]
    return found, [(question, str(i)) for i, (_, question) in enumerate(rows)]


def published() -> tuple[list[Document], Questions]:
    """English questions of chatterbot-corpus, each with its answer among all answers."""
    files = distribution("chatterbot-corpus").files or []
    by_answer: dict[str, str] = {}
    for file in files:
        if "/english/" not in str(file) or file.suffix != ".yml":
            continue
        if file.stem not in (
            "science",
            "computers",
            "ai",
            "history",
            "literature",
            "money",
            "sports",
        ):
            continue
        for talk in yaml.safe_load(Path(str(file.locate())).read_text("utf-8"))["conversations"]:
            if len(talk) == 2 and len(str(talk[1]).split()) > 4:
                by_answer.setdefault(str(talk[1]), str(talk[0]))
    found = [_document(str(i), text) for i, text in enumerate(by_answer)]
    return found, [(question, str(i)) for i, question in enumerate(by_answer.values())]


def _document(uri: str, text: str) -> Document:
    blocks = (Block("text", 0, len(text)),)
    return Document(
        uri=uri, title="", text=text, blocks=blocks, media_type="text/plain", digest=uri
    )


async def ways(home: Path, entries: list[Entry], embedder: Embedder) -> dict[str, Ranking]:
    """Each way to rank the documents of the entries."""
    texts = [text for each in entries for text in each.texts()]
    owners = [each.document.uri for each in entries for _ in each.chunks]
    vectors = np.concatenate(
        [await embedder.embed(texts[i : i + 64]) for i in range(0, len(texts), 64)]
    )
    with IndexStore.open(home) as store:
        store.publish(entries, vectors, [], [], [], settings="", embedder=embedder.id)

    def ours(weight: float) -> Ranking:
        settings = RetrievalSettings(vector_weight=weight, diversity=0, merge_neighbours=False)
        base = KnowledgeBase.open(home, embedder, settings)

        async def rank(query: str) -> list[str]:
            found = await base.search(query, limit=50, roles=set())
            return list(dict.fromkeys(each.uri for each in found))

        return rank

    made = {f"weight {w:g}": ours(w) for w in WEIGHTS}
    made = {"text only": ours(0), "vectors only": ours(1), **made}
    with contextlib.suppress(ImportError):
        made["rank-bm25"] = rank_bm25(texts, owners)
    with contextlib.suppress(ImportError):
        made["sqlite-vec"] = sqlite_vec(vectors, owners, embedder)
    return made


def rank_bm25(texts: list[str], owners: list[str]) -> Ranking:
    """As its README says, with our terms: split at blanks, it would find no Chinese at all."""
    from rank_bm25 import BM25Okapi  # type: ignore[import-not-found]  # a peer, not a dependency

    index = BM25Okapi([list(terms(text)) for text in texts])

    async def rank(query: str) -> list[str]:
        order = np.argsort(-index.get_scores(list(terms(query))), kind="stable")[:50]
        return list(dict.fromkeys(owners[i] for i in order))

    return rank


def sqlite_vec(vectors: np.ndarray, owners: list[str], embedder: Embedder) -> Ranking:
    """A vec0 table and its nearest neighbours."""
    import apsw  # type: ignore[import-not-found]  # a peer, not a dependency
    import sqlite_vec as extension  # type: ignore[import-not-found]  # a peer, not a dependency

    database = apsw.Connection(":memory:")
    database.enable_load_extension(True)
    database.load_extension(extension.loadable_path())
    database.execute(f"CREATE VIRTUAL TABLE v USING vec0(e float[{vectors.shape[1]}])")
    database.executemany(
        "INSERT INTO v (rowid, e) VALUES (?, ?)",
        ((i, vector.tobytes()) for i, vector in enumerate(vectors)),
    )

    async def rank(query: str) -> list[str]:
        vector = (await embedder.embed([query], kind="query"))[0]
        found = database.execute(
            "SELECT rowid FROM v WHERE e MATCH ? AND k = 50 ORDER BY distance", (vector.tobytes(),)
        )
        return list(dict.fromkeys(owners[row[0]] for row in found))

    return rank


async def places(rank: Ranking, questions: Questions) -> list[float]:
    """Where the right document of each question stands, from 1; infinite beyond the tenth."""
    return [
        found.index(right) + 1 if right in (found := (await rank(question))[:DEPTH]) else math.inf
        for question, right in questions
    ]


def ndcg(found: Sequence[float]) -> float:
    """nDCG@10, with one right document a question."""
    return sum(1 / math.log2(1 + place) for place in found) / len(found)


def told(found: Sequence[float]) -> str:
    recall = sum(place <= 5 for place in found) / len(found)
    mrr = sum(1 / place for place in found) / len(found)
    return f"recall@5 {recall:.3f}  nDCG@10 {ndcg(found):.3f}  MRR {mrr:.3f}"


async def main(home: Path) -> None:
    loaders = {"docs": docs, "chinese": chinese, "english": english, "published": published}
    for model in sys.argv[1:] or BUILTIN:
        found: dict[str, dict[str, list[float]]] = {}
        async with open_embedder(home, home, os.environ, name=model) as embedder:
            for name, load in loaders.items():
                try:
                    documents, questions = load()
                except PackageNotFoundError as error:
                    print(f"{name}: left out: {error}", file=sys.stderr)
                    continue
                entries = [
                    Entry(document=each, chunks=chunk(each, ChunkSettings()), origin=str(i))
                    for i, each in enumerate(documents)
                ]
                folder = home / model / name
                folder.mkdir(parents=True)
                print(f"{model}, {name}: {len(documents)} documents, {len(questions)} questions")
                found[name] = {}
                for way, rank in (await ways(folder, entries, embedder)).items():
                    found[name][way] = await places(rank, questions)
                    print(f"  {way:14} {told(found[name][way])}", flush=True)
        held_out(model, found)


def held_out(model: str, found: dict[str, dict[str, list[float]]]) -> None:
    """What the weight that is best on even questions gets on odd ones."""

    def on_even(way: str) -> float:
        return sum(ndcg(each[way][::2]) for each in found.values()) / len(found)

    best = max((f"weight {each:g}" for each in WEIGHTS), key=on_even)
    print(
        f"{model}: {best} is best on every other question (nDCG@10 {on_even(best):.3f}); the rest:"
    )
    for name, each in found.items():
        for way in dict.fromkeys(("text only", "vectors only", best, "weight 0.6")):
            print(f"  {name:10} {way:14} {told(each[way][1::2])}", flush=True)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as made:
        if (models := ROOT / ".cache" / "headrace" / "models").exists():
            (Path(made) / "models").symlink_to(models)
        asyncio.run(main(Path(made)))
