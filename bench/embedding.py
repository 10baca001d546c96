"""The built-in embedding models beside the chat model's own embeddings, and what each costs.

    python bench/embedding.py

For each set: how often the right text is nearest to a question (recall@1), and among the five
nearest. The sets, all in bench/retrieval/data: questions about this repository's docs against the
beginning of each page, and against so much of it as the model reads; English and Chinese questions
against passages of a sentence or two (the same 66 in both languages, three to a subject, written
so that questions share few words with answers; 32 more in Chinese alone); and questions of one of
the two languages against the passages of the other. Then texts a second of 16 and of 128 tokens,
and the time of one question. Random guessing is the floor.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from headrace.models.builder import BUILTIN
from headrace.models.embedder import ModelEmbedder, open_embedder

ROOT = Path(__file__).parents[1]
DATA = ROOT / "bench" / "retrieval" / "data"
BEGINNING, WHOLE = 600, 20_000
Set = tuple[list[str], list[tuple[str, int]]]
SHORT, LONG = (
    "How tall is the wheel of the old mill by the river bank today?",
    "flour and meal " * 42,
)


def _rows(name: str) -> list[list[str]]:
    lines = (DATA / name).read_text("utf-8").splitlines()
    return [line.split("\t") for line in lines if line]


def pages(signs: int) -> Set:
    """Questions about this repository's docs; a page is right."""
    rows = _rows("docs.tsv")
    names = sorted({name for name, _ in rows})
    texts = [(ROOT / "docs" / name).read_text("utf-8")[:signs] for name in names]
    return texts, [(question, names.index(name)) for name, question in rows]


def passages(texts: list[str], questions: list[str]) -> Set:
    """A question each; texts beyond them stand in the way."""
    return texts, [(question, at) for at, question in enumerate(questions)]


def sets() -> dict[str, Set]:
    chinese, asked, english, english_asked = (
        list(column) for column in zip(*_rows("parallel.tsv"), strict=True)
    )
    more, more_asked = (list(column) for column in zip(*_rows("chinese.tsv"), strict=True))
    return {
        "docs, beginnings": pages(BEGINNING),
        "docs, whole": pages(WHOLE),
        "English passages": passages(english, english_asked),
        "Chinese passages": passages(chinese + more, asked + more_asked),
        "Chinese -> English": passages(english, asked),
        "English -> Chinese": passages(chinese, english_asked),
    }


async def recall(
    embedder: ModelEmbedder, texts: Sequence[str], questions: Sequence[tuple[str, int]]
) -> tuple[float, float]:
    passages = await embedder.embed(texts)
    asked = await embedder.embed([question for question, _ in questions], kind="query")
    ranked = np.argsort(-(asked @ passages.T), axis=1)
    right = np.array([at for _, at in questions])[:, None]
    return float((ranked[:, :1] == right).any(1).mean()), float(
        (ranked[:, :5] == right).any(1).mean()
    )


async def speed(embedder: ModelEmbedder) -> tuple[float, float, float]:
    await embedder.embed([SHORT])
    taken: list[float] = []
    for text, count in ((SHORT, 64), (LONG, 16), (SHORT, 1)):
        best = float("inf")
        for _ in range(3):
            began = time.perf_counter()
            await embedder.embed([text] * count)
            best = min(best, time.perf_counter() - began)
        taken.append(best)
    return 64 / taken[0], 16 / taken[1], taken[2] * 1e3


async def main() -> None:
    all_sets = sets()
    print(f"{'model':24}{'set':20}{'texts':>6}{'asked':>6}{'recall@1':>10}{'recall@5':>10}")
    for name, (texts, asked) in all_sets.items():
        one = 1 / len(texts)
        print(f"{'(guessing)':24}{name:20}{len(texts):6}{len(asked):6}{one:10.3f}{5 * one:10.3f}")
    speeds: dict[str, tuple[float, float, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        store = ROOT / ".cache" / "headrace" / "models"
        store.mkdir(parents=True, exist_ok=True)
        (home / "models").symlink_to(store)
        for name in (*BUILTIN, "smollm2-135m"):
            async with open_embedder(Path("/nonexistent"), home, os.environ, name=name) as embedder:
                for title, (texts, asked) in all_sets.items():
                    one, five = await recall(embedder, texts, asked)
                    print(f"{name:24}{title:20}{len(texts):6}{len(asked):6}{one:10.3f}{five:10.3f}")
                speeds[name] = await speed(embedder)
    print(f"\n{'model':24}{'16 tokens':>12}{'128 tokens':>12}{'question':>12}")
    for name, (short, long, question) in speeds.items():
        print(f"{name:24}{short:10.0f}/s{long:10.0f}/s{question:9.1f} ms")


if __name__ == "__main__":
    asyncio.run(main())
