"""The built-in embedding model beside the chat model's own embeddings, and what each costs.

    python bench/embedding.py

For each set: how often the right text is nearest to a question (recall@1), and among the five
nearest. English: questions about this repository's docs against the beginning of each page;
Chinese: questions against short passages, both in bench/retrieval/data. Then texts a second of 16
and of 128 tokens, and the time of one question. Random guessing is printed as the floor.
"""

import asyncio
import os
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from headrace.models.embedder import ModelEmbedder, open_embedder

ROOT = Path(__file__).parents[1]
DATA = ROOT / "bench" / "retrieval" / "data"
BEGINNING = 600
SHORT, LONG = (
    "How tall is the wheel of the old mill by the river bank today?",
    "flour and meal " * 42,
)


def english() -> tuple[list[str], list[tuple[str, int]]]:
    rows = [
        line.split("\t") for line in (DATA / "docs.tsv").read_text("utf-8").splitlines() if line
    ]
    names = sorted({name for name, _ in rows})
    texts = [(ROOT / "docs" / name).read_text("utf-8")[:BEGINNING] for name in names]
    return texts, [(question, names.index(name)) for name, question in rows]


def chinese() -> tuple[list[str], list[tuple[str, int]]]:
    rows = [
        line.split("\t") for line in (DATA / "chinese.tsv").read_text("utf-8").splitlines() if line
    ]
    return [text for text, _ in rows], [(question, i) for i, (_, question) in enumerate(rows)]


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
    sets = {"English": english(), "Chinese": chinese()}
    print(f"{'model':14}{'set':10}{'recall@1':>10}{'recall@5':>10}")
    for language, (texts, _) in sets.items():
        print(f"{'(guessing)':14}{language:10}{1 / len(texts):10.3f}{5 / len(texts):10.3f}")
    speeds: dict[str, tuple[float, float, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        store = ROOT / ".cache" / "headrace" / "models"
        store.mkdir(parents=True, exist_ok=True)
        (home / "models").symlink_to(store)
        for name in ("embedding", "smollm2-135m"):
            async with open_embedder(Path("/nonexistent"), home, os.environ, name=name) as embedder:
                for language, (texts, questions) in sets.items():
                    one, five = await recall(embedder, texts, questions)
                    print(f"{name:14}{language:10}{one:10.3f}{five:10.3f}")
                speeds[name] = await speed(embedder)
    print(f"\n{'model':14}{'16 tokens':>12}{'128 tokens':>12}{'question':>12}")
    for name, (short, long, question) in speeds.items():
        print(f"{name:14}{short:10.0f}/s{long:10.0f}/s{question:9.1f} ms")


if __name__ == "__main__":
    asyncio.run(main())
