"""What `ground` adds to a turn: `python bench/retrieval/ground.py [--postgres] [100000]`.

The step itself with its default settings (five passages): the question is embedded by the built-in
model, the index searched, what is found screened for commands, cut to its budget by the chat
model's own tokenizer, and put in front of the question. Chunks are sentences of this repository's
docs in new order, about 130 tokens each; their vectors lie between those that the model gives 400
pieces of the docs, so that they have neighbours where the questions are (those of data/docs.tsv,
two rounds; the first warms up). Not covered: names of a glossary (bench/entities.py), reranking.
"""

import asyncio
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.retrieval.quality import ROOT, docs
from bench.retrieval.scale import PER_DOCUMENT

from headrace.access.principal import Principal
from headrace.config.load import load_service
from headrace.knowledge.chunk.chunk import chunk
from headrace.knowledge.chunk.settings import ChunkSettings
from headrace.knowledge.document import Chunk, Document
from headrace.knowledge.index.entry import Entry
from headrace.knowledge.index.place import IndexPlace
from headrace.knowledge.settings import RetrievalSettings
from headrace.models.box import ModelBox
from headrace.models.builder import EMBEDDING
from headrace.models.embedder import ModelEmbedder
from headrace.pipeline.steps.ground import lookup
from headrace.pipeline.steps.ground.injected import screen_passages
from headrace.pipeline.steps.ground.lookup import KnowledgeSettings, Lookup
from headrace.pipeline.turn import Turn
from headrace.types import Message

PIECES, WORDS = 400, 90
NEAR, NOISE = 0.7, 0.02
P = ParamSpec("P")
R = TypeVar("R")


class Parts:
    """How long each part took, turn by turn, by the clock and of this process's processor time.

    On a machine with much else to do the second says more, though it grows there, too.
    """

    def __init__(self) -> None:
        self.took: dict[str, list[tuple[float, float]]] = {}

    @staticmethod
    def now() -> tuple[float, float]:
        return 1000 * time.perf_counter(), 1000 * time.process_time()

    def note(self, part: str, begun: tuple[float, float]) -> None:
        clock, processor = self.now()
        self.took.setdefault(part, []).append((clock - begun[0], processor - begun[1]))

    def timed(self, part: str, work: Callable[P, R]) -> Callable[P, R]:
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            begun = self.now()
            try:
                return work(*args, **kwargs)
            finally:
                self.note(part, begun)

        return run

    def awaited(
        self, part: str, work: Callable[P, Coroutine[Any, Any, R]]
    ) -> Callable[P, Coroutine[Any, Any, R]]:
        async def run(*args: P.args, **kwargs: P.kwargs) -> R:
            begun = self.now()
            try:
                return await work(*args, **kwargs)
            finally:
                self.note(part, begun)

        return run


def entries(count: int) -> list[Entry]:
    """Documents of twenty chunks, of the docs' lines in new order."""
    random = np.random.default_rng(2)
    lines = [
        line
        for document in docs()[0]
        for line in document.text.splitlines()
        if 4 <= len(line.split()) <= WORDS
    ]
    made = []
    for number in range(count // PER_DOCUMENT):
        chunks = []
        for ordinal in range(PER_DOCUMENT):
            words, text = 0, ""
            while words < WORDS:
                line = lines[random.integers(len(lines))]
                words, text = words + len(line.split()), f"{text}{line}\n"
            chunks.append(Chunk(ordinal=ordinal, start=0, end=len(text), text=text, kind="table"))
        document = Document(
            uri=f"{number}", title="", text="", blocks=(), media_type="", digest=f"{number}"
        )
        made.append(Entry(document=document, chunks=chunks, origin=f"{number}"))
    return made


async def vectors(embedder: ModelEmbedder, count: int) -> NDArray[np.float32]:
    """Each between two of the docs' own."""
    texts = [each.text for document in docs()[0] for each in chunk(document, ChunkSettings())]
    real = await embedder.embed(texts[:: max(1, len(texts) // PIECES)])
    random = np.random.default_rng(3)
    one, other = (real[random.integers(len(real), size=count)] for _ in range(2))
    made = NEAR * one + (1 - NEAR) * other
    made += np.float32(NOISE) * random.standard_normal(made.shape, np.float32)
    unit: NDArray[np.float32] = made / np.linalg.norm(made, axis=1, keepdims=True)
    return unit.astype(np.float32)


async def measure(place: IndexPlace, home: Path, count: int) -> None:
    service = load_service(Path("/nonexistent"), os.environ)
    (chat,) = service.models
    box = ModelBox.build(service, home, os.environ, only={EMBEDDING, chat})
    await box.start()
    try:
        embedder = ModelEmbedder(box.get(EMBEDDING))
        await embedder.load()
        with place.store() as store:
            store.publish(
                entries(count),
                await vectors(embedder, count),
                [],
                [],
                [],
                settings="",
                embedder=embedder.id,
            )
        parts = Parts()
        with watched(parts, embedder):
            base = place.base(embedder, RetrievalSettings())
            base.search = parts.awaited("search", base.search)  # type: ignore[method-assign]
            step = Lookup(KnowledgeSettings(), base, box)
            step._fitted = parts.awaited("fitted", step._fitted)  # type: ignore[method-assign]  # noqa: SLF001
            whole = parts.awaited("ground", step.ground)
            for warm in (True, False):
                for question, _ in docs()[1]:
                    message = Message(role="user", content=question)
                    asker = Principal("key-bench", "bench", "user")
                    turn = Turn(principal=asker, messages=[message], language="en", stream=True)
                    turn.model = chat
                    await whole(turn, "")
                    assert turn.passages, "nothing was found"
                if warm:
                    parts.took.clear()
            base.close()
    finally:
        await box.stop()
    told(parts, count)


@contextmanager
def watched(parts: Parts, embedder: ModelEmbedder) -> Iterator[None]:
    """Time what the step calls."""
    embedder.embed = parts.awaited("embedded", embedder.embed)  # type: ignore[method-assign]
    with patch.object(lookup, "screen_passages", parts.timed("screened", screen_passages)):
        yield


def told(parts: Parts, count: int) -> None:
    took = {name: np.array(values) for name, values in parts.took.items()}
    took["search"] -= took["embedded"]
    names = {
        "ground": "ground, the whole of it",
        "embedded": "  the question embedded",
        "search": "  the index searched",
        "screened": "  passages screened",
        "fitted": "  cut to the budget and put in place",
    }
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{count:,} chunks, {len(took['ground'])} questions, load {os.getloadavg()[0]:.1f}")
    for name, title in names.items():
        clock, processor = took[name].T
        p50, p99 = np.percentile(clock, [50, 99])
        print(
            f"{title:40} p50 {p50:6.2f} ms  p99 {p99:6.2f} ms  "
            f"processor p50 {np.median(processor):6.2f} ms"
        )
    print(f"peak memory, with making the index {peak:,.0f} MB")


def main(arguments: list[str]) -> None:
    on_server = "--postgres" in arguments
    count = int(next((each for each in arguments if each.isdigit()), "100000"))
    with tempfile.TemporaryDirectory() as made:
        home = Path(made)
        if (models := ROOT / ".cache" / "headrace" / "models").exists():
            (home / "models").symlink_to(models)
        if not on_server:
            asyncio.run(measure(IndexPlace(home), home, count))
            return
        from tests.postgres import PostgresServer

        with tempfile.TemporaryDirectory() as folder:
            settings = ("listen_addresses=", "shared_buffers=256MB", "maintenance_work_mem=512MB")
            server = PostgresServer(Path(folder), settings=settings)
            server.start()
            try:
                asyncio.run(measure(IndexPlace(home, server.address()), home, count))
            finally:
                server.stop("fast")


if __name__ == "__main__":
    main(sys.argv[1:])
