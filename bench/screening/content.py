"""How well content is found: by kind and language, on sources that nothing was trained on.

    python -m bench.screening.content [--packages .cache/content] [--other-python PATH] [--mistakes]

Texts: the test sources of content_corpus.py (downloaded once). Printed for each kind with labelled
texts: precision, recall and F1 at the level `low` (0.5), area under the ROC curve, and the share
found at a threshold that one in a hundred harmless texts passes; then false alarms by source of
harmless text (medical, legal, security and history questions; stories; Chinese newspaper), and
microseconds for 1,000 characters. Harmless texts are not harmful ones of other kinds: a text that
is labelled for one kind is no negative of another. Beside it, in the same run, where a Python has
them: alt-profanity-check and better-profanity, which know one kind, so they are held against
harassment, hate and sexual texts together.

    python -m venv /tmp/other && /tmp/other/bin/pip install alt-profanity-check better-profanity
"""

import argparse
import json
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from bench.screening.content_corpus import Example, fetch, test_examples
from numpy.typing import NDArray

from headrace.screening.content.classifier import judge
from headrace.screening.content.kind import HEADS, LEVELS, REPORTED
from headrace.screening.content.moderation import Scoring
from headrace.screening.content.unit import units
from headrace.screening.registry import detectors

WORKER = Path(__file__).parent / "content_worker.py"
RUDE = ("harassment", "hate", "sexual")
SPEED_EN = "The committee met on Tuesday to discuss the new library. Several residents asked how it would be paid for. "
SPEED_ZH = "委员会星期二开会讨论新图书馆的建设。几位居民询问资金从哪里来，什么时候开放。"

Scores = list[dict[str, float]]


def scored(texts: Sequence[str]) -> Scores:
    """Every kind's score of every text."""
    scoring = [each for each, _ in detectors().values() if isinstance(each, Scoring)]
    found: Scores = []
    for text in texts:
        scores: dict[str, float] = {}
        for each in scoring:
            scores |= each.scores(text)
        found.append(scores)
    return found


def auc(good: NDArray[np.float64], bad: NDArray[np.float64]) -> float:
    """The chance that a positive scores above a negative."""
    order = np.argsort(np.concatenate((bad, good)), kind="stable")
    values = np.concatenate((bad, good))[order]
    ranks = np.empty(len(order))
    ranks[order] = np.arange(1, len(order) + 1)
    for value in np.unique(values[np.diff(values, append=np.inf) == 0]):
        tied = np.concatenate((bad, good)) == value
        ranks[tied] = ranks[tied].mean()
    total = ranks[len(bad) :].sum() - len(good) * (len(good) + 1) / 2
    return float(total / (len(good) * len(bad)))


def line(name: str, good: NDArray[np.float64], bad: NDArray[np.float64]) -> str:
    """One row of the table."""
    hits, alarms = int((good >= REPORTED).sum()), int((bad >= REPORTED).sum())
    precision, recall = hits / max(1, hits + alarms), hits / len(good)
    f1 = 2 * precision * recall / max(1e-9, precision + recall)
    cut = float(np.quantile(bad, 0.99))
    medium = LEVELS["medium"]
    return (
        f"{name:26} {len(good):5} {len(bad):6} {precision:6.2f} {recall:6.2f} {f1:6.2f} {auc(good, bad):6.3f} "
        f"{(good > cut).mean():9.2f} {(good >= medium).mean():8.2f} {(bad >= medium).mean():8.4f}"
    )


def table(examples: Sequence[Example], scores: Scores) -> None:
    """Quality by kind and language."""
    print(f"{'kind':26} {'texts':>5} {'calm':>6} {'prec':>6} {'recall':>6} {'F1':>6} {'AUC':>6} "
          f"{'TPR@1%FPR':>9} {'rec ≥.7':>8} {'FPR ≥.7':>8}")  # fmt: skip
    for language in ("en", "zh"):
        for head in HEADS:
            pick = [
                (each.labels[head], score[head])
                for each, score in zip(examples, scores, strict=True)
                if each.language == language and head in each.labels
            ]
            good = np.array([score for label, score in pick if label])
            bad = np.array([score for label, score in pick if not label])
            if len(good) and len(bad):
                print(line(f"{language} {head}", good, bad))


def alarms(examples: Sequence[Example], scores: Scores) -> None:
    """Harmless texts by source: how many have any finding from each level on."""
    print(
        f"\n{'harmless texts':36} {'texts':>5} {'low':>7} {'medium':>7} {'high':>7}  (share with any harm found)"
    )
    harms = [head for head in HEADS if not head.endswith("_advice")]
    by_source: dict[str, list[float]] = {}
    for each, score in zip(examples, scores, strict=True):
        said = {head for head, label in each.labels.items() if label}
        if said <= {"medical_advice"} and each.labels.get("illicit") is False:
            highest = max(score[head] for head in harms)
            by_source.setdefault(f"{each.language} {each.source}", []).append(highest)
    for source, found in sorted(by_source.items()):
        own = np.array(found)
        shares = "".join(f"{(own >= least).mean():8.3f}" for least in LEVELS.values())
        print(f"{source:36} {len(own):5}{shares}")


def beside(examples: Sequence[Example], scores: Scores, python: str) -> None:
    """The other detectors on what they are for, and ours on the same."""
    chosen = [
        (each, score)
        for each, score in zip(examples, scores, strict=True)
        if each.language == "en"
        and (
            any(each.labels.get(head) for head in RUDE)
            or all(each.labels.get(head) is False for head in RUDE)
        )
    ]
    truth = np.array([any(each.labels.get(head) for head in RUDE) for each, _ in chosen])
    done = subprocess.run(
        [python, str(WORKER)], input=json.dumps([each.text for each, _ in chosen]),
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    rows = {"ours (highest of the three)": np.array([max(s[h] for h in RUDE) for _, s in chosen])}
    others = json.loads(done.stdout)
    for name, each in others.items():
        rows[name] = np.array(each["scores"])
    print(f"\nharassment, hate or sexual, English ({int(truth.sum())} of {len(truth)} texts)")
    for name, own in rows.items():
        print(line(name, own[truth], own[~truth]))
    for name, each in others.items():
        print(f"{name}: {each['seconds'] / len(chosen) * 1e6:.0f} µs a text")


def speed() -> None:
    """Microseconds for 1,000 characters: the classifier, and all detectors with it."""
    scoring = [each for each, _ in detectors().values() if isinstance(each, Scoring)]
    print()
    for name, sample in (("en", SPEED_EN), ("zh", SPEED_ZH)):
        text = (sample * 40)[:1000]
        best = {"classifier": np.inf, "all": np.inf}
        for _ in range(60):
            judge.cache_clear()
            units.cache_clear()
            began = time.perf_counter()
            judge(text, 0)
            middle = time.perf_counter()
            for each in scoring:
                each.scores(text)
            best["classifier"] = min(best["classifier"], middle - began)
            best["all"] = min(best["all"], time.perf_counter() - began)
        print(f"{name}: 1,000 characters: classifier {best['classifier'] * 1e6:.0f} µs, "
              f"all {len(scoring)} detectors {best['all'] * 1e6:.0f} µs")  # fmt: skip


def mistakes(examples: Sequence[Example], scores: Scores) -> None:
    """Every text that is judged wrongly."""
    for each, score in zip(examples, scores, strict=True):
        for head, label in each.labels.items():
            if label != (score[head] >= REPORTED):
                kind = "missed" if label else "alarm"
                print(f"{kind} {head} {score[head]:.2f} {each.source}: {each.text[:120]!r}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--packages", type=Path, default=Path(".cache/content"))
    parser.add_argument("--other-python")
    parser.add_argument("--mistakes", action="store_true")
    said = parser.parse_args()
    examples = test_examples(fetch(said.packages))
    scores = scored([each.text for each in examples])
    table(examples, scores)
    alarms(examples, scores)
    if said.other_python:
        beside(examples, scores, said.other_python)
    speed()
    if said.mistakes:
        mistakes(examples, scores)


if __name__ == "__main__":
    main()
