"""How well, and how fast, the choice of a template is: `python bench/template_choice.py`.

Learns from the built-in templates' `scenario.asks` and is asked the held-out questions of
tests/prompts/choice_held_out.yaml. Compared with the nearest centroid of the vectors, which a choice by
embeddings alone would be. Both sets of questions are by one author: those of others will do worse, and
the questions that the fit leaves out one at a time (`left out`) are a harder, perhaps fairer, measure.
"""

import argparse
import asyncio
import os
import re
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import yaml
from numpy.typing import NDArray

from headrace.models.embedder import open_embedder
from headrace.pipeline.chooser import questions_of
from headrace.prompts.choice.classifier import Classifier, Ranked
from headrace.prompts.choice.gram import heart
from headrace.prompts.choice.settings import ClassifierSettings
from headrace.prompts.library import PromptLibrary, builtin_templates
from headrace.prompts.vector import Vectors

ROOT = Path(__file__).parent.parent
HELD_OUT = ROOT / "tests" / "prompts" / "choice_held_out.yaml"
THRESHOLDS = (0.0, 0.3, 0.4, 0.5, 0.6, 0.8)
LONG = " The town council met on Monday and talked about the harbour, the pool and the fees." * 60


def say(text: str) -> None:
    sys.stdout.write(text + "\n")


def accuracy(
    rows: Sequence[tuple[str, str, str]], ranked: Sequence[Ranked], language: str | None
) -> str:
    right = [
        found.name == name
        for (name, spoken, _), found in zip(rows, ranked, strict=True)
        if language in (None, spoken)
    ]
    return f"{sum(right) / len(right):.3f} of {len(right)}"


def report(rows: Sequence[tuple[str, str, str]], ranked: Sequence[Ranked]) -> None:
    for language in (None, "en", "zh"):
        say(f"held out, {language or 'all'}: {accuracy(rows, ranked, language)}")
    say("threshold  decided  right of those  (en, zh)")
    for threshold in THRESHOLDS:
        cells = []
        for language in (None, "en", "zh"):
            sure = [
                found.name == name
                for (name, spoken, _), found in zip(rows, ranked, strict=True)
                if found.confidence >= threshold and language in (None, spoken)
            ]
            total = sum(language in (None, spoken) for _, spoken, _ in rows)
            cells.append((len(sure) / total, sum(sure) / max(1, len(sure))))
        shown = "  ".join(f"{part:.2f} {right:.3f}" for part, right in cells)
        say(f"{threshold:9.1f}  {shown}")
    say("confused most: (asked for -> chosen)")
    wrong: dict[str, int] = {}
    for (name, _, _), found in zip(rows, ranked, strict=True):
        if found.name != name:
            pair = f"{name} -> {found.name}"
            wrong[pair] = wrong.get(pair, 0) + 1
    for pair, count in sorted(wrong.items(), key=lambda each: -each[1])[:8]:
        say(f"  {count:2} {pair}")
    harmless = [found for (name, _, _), found in zip(rows, ranked, strict=True) if name != "refuse"]
    refused = sum(each.name == "refuse" and each.confidence >= 0.5 for each in harmless)
    say(f"harmless questions refused at 0.5: {refused} of {len(harmless)}")


def centroids(
    rows: Sequence[tuple[str, str, str]],
    questions: dict[str, tuple[str, ...]],
    known: NDArray[np.float32],
    asked: NDArray[np.float32],
) -> None:
    names = list(questions)
    ends = np.cumsum([len(questions[name]) for name in names])
    means = np.stack([part.mean(axis=0) for part in np.split(known, ends[:-1])])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    best = (asked @ means.T).argmax(axis=1)
    ranked = [Ranked(names[at], 1.0, "", 0.0) for at in best]
    for language in (None, "en", "zh"):
        say(f"nearest centroid, {language or 'all'}: {accuracy(rows, ranked, language)}")


async def main(home: Path, model: str) -> None:
    loaded = yaml.safe_load(HELD_OUT.read_text("utf-8"))
    rows = [
        (name, spoken, text)
        for name, by_language in loaded.items()
        for spoken, texts in by_language.items()
        for text in texts
    ]
    library = PromptLibrary({}, builtin=builtin_templates())
    questions = questions_of(library, ClassifierSettings())
    async with open_embedder(Path("/nonexistent"), home, os.environ, name=model) as embedder:
        vectors = Vectors(embedder)
        started = time.perf_counter()
        known = await vectors.of([each for texts in questions.values() for each in texts])
        looked_up = time.perf_counter()
        classifier = Classifier.fit(questions, known)
        fitted = time.perf_counter()
        asked = await embedder.embed([heart(text) for _, _, text in rows], kind="query")
        say(f"{len(questions)} templates, {len(known)} questions to learn from")
        say(f"vectors of those: {1e3 * (looked_up - started):.0f} ms")
        say(f"fit: {1e3 * (fitted - looked_up):.0f} ms")
        say(f"left out one at a time: {classifier.left_out:.3f}")
        ranked = [
            found
            for (_, _, text), vector in zip(rows, asked, strict=True)
            if (found := classifier.rank(heart(text), vector)) is not None
        ]
        centroids(rows, questions, known, asked)
        report(rows, ranked)
        for what, text in (("short", rows[7][2]), ("5,000 characters", "Sum this up:" + LONG)):
            vector = await vectors.one(heart(text))
            times = []
            for _ in range(300):
                begun = time.perf_counter()
                classifier.rank(heart(text), vector)
                times.append(1e3 * (time.perf_counter() - begun))
            times.sort()
            say(
                f"beyond the embedding, {what}: p50 {statistics.median(times):.2f} ms, "
                f"p99 {times[297]:.2f} ms"
            )
        times = []
        for _, _, text in rows[::4]:
            begun = time.perf_counter()
            await embedder.embed([re.sub(r"^", " ", text)], kind="query")
            times.append(1e3 * (time.perf_counter() - begun))
        say(f"the embedding: p50 {statistics.median(times):.1f} ms")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--home", type=Path, default=ROOT / ".cache" / "headrace")
    parser.add_argument("--model", default="embedding-multilingual", help="or: embedding")
    given = parser.parse_args()
    asyncio.run(main(given.home.resolve(), given.model))
