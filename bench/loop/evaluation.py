"""Evaluation throughput: a suite with its scorers, cache and store against the bare model.

Both ask the same number of prompts of the same length (none twice) of the built-in model, at the
same parallelism, in turns. The target: at least 0.9 of what the model alone gives.

    python bench/loop/evaluation.py [--cases 40] [--parallel 4] [--rounds 3]
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from functools import partial
from importlib.resources import files
from pathlib import Path

from headrace.access.principal import Principal
from headrace.config.load import load_service
from headrace.config.node import parse_yaml
from headrace.evaluation.run import run_suite
from headrace.evaluation.scorer import Tools
from headrace.evaluation.scorers.table import make_scorers
from headrace.evaluation.store import AnswerCache
from headrace.evaluation.suite import parse_suite
from headrace.models.backend import Call
from headrace.models.model import Model
from headrace.models.store import ModelStore
from headrace.pipeline.service import Platform
from headrace.server.boot import open_platform
from headrace.server.evaluation import pipeline_answerer
from headrace.types import Message, Params

CACHE = Path(__file__).parents[2] / ".cache" / "headrace" / "models"
TOKENS = 24
SUITE = """\
scorers: [contains, rouge_l, chrf, regex: {pattern: "[0-9]"}]
params: {max_tokens: 24}
cases:
"""


def prompt(arm: str, round_: int, case: int) -> str:
    # What differs stands first: neither arm may find the other's prompts in the model's cache.
    return f"{arm} {round_} {case}: count on from here, slowly, as you like. Say nothing else."


async def bare(platform: Platform, round_: int, cases: int, parallel: int) -> float:
    """Tokens a second of the model alone."""
    target = platform.service.models.get(None)
    todo = iter(range(cases))
    tokens = 0

    async def work() -> None:
        nonlocal tokens
        for case in todo:
            said = [Message(role="user", content=prompt("Someone", round_, case))]
            params = Params(temperature=0.0, seed=1, max_tokens=TOKENS).over(target.params)
            call = Call(said, params, stream=False)
            async for delta in target.ask(call).deltas(partial(_same, call)):
                if delta.usage is not None:
                    tokens += delta.usage.completion_tokens

    started = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(parallel)))
    return tokens / (time.perf_counter() - started)


def _same(call: Call, model: Model) -> Call:
    del model
    return call


async def suite_run(platform: Platform, round_: int, cases: int, parallel: int) -> float:
    """Tokens a second of a suite, all it does included."""
    lines = "".join(
        f"  - {{input: {prompt('anybody', round_, case)!r}, target: '{case}'}}\n"
        for case in range(cases)
    )
    node = parse_yaml(SUITE + lines, "evals/bench.yaml", {}, root=Path())
    started = time.perf_counter()
    suite = parse_suite(node, Path(), "bench")
    run = await run_suite(
        suite,
        make_scorers(node, suite, Tools()),
        pipeline_answerer(platform.service, Principal("bench", "bench", "admin")),
        AnswerCache(platform.database, platform.files.vault, "bench"),
        release=platform.service.release,
        parallel=parallel,
    )
    took = time.perf_counter() - started
    assert not any(each.error for each in run.results), "an answer failed"
    return sum(each.answer.completion_tokens for each in run.results if each.answer) / took


async def measure(cases: int, parallel: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        home = root / "home"
        home.mkdir(mode=0o700)
        (home / "models").symlink_to(CACHE)
        for model in load_service(root, os.environ).models.values():
            settings = model.deployments[0].settings.value
            assert isinstance(settings, dict)
            store = ModelStore(CACHE, root=root)
            store.fetch(str(settings["weights"]), str(settings["sha256"]))
        builtin = files("headrace.config").joinpath("builtin", "headrace.yaml")
        declared = builtin.read_text("utf-8").partition("\npipeline:")[0]
        (root / "headrace.yaml").write_text(f"{declared}\npipeline: [generate]\n")
        environ = {**os.environ, "HEADRACE_HOME": str(home)}
        async with open_platform(root, environ) as platform:
            await bare(platform, 0, parallel, parallel)  # warm
            ratios = []
            for round_ in range(1, rounds + 1):
                # Who goes first changes: a machine that gets hot or busy favours nobody.
                arms = [bare, suite_run] if round_ % 2 else [suite_run, bare]
                rates = {arm: await arm(platform, round_, cases, parallel) for arm in arms}
                ratios.append(rates[suite_run] / rates[bare])
                print(
                    f"round {round_}: bare {rates[bare]:7.1f} tokens/s, "
                    f"suite {rates[suite_run]:7.1f} tokens/s, ratio {ratios[-1]:.3f}"
                )
    print(f"ratio {statistics.median(ratios):.3f} (median of {rounds}; target 0.9)")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=40)
    parser.add_argument("--parallel", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    asyncio.run(measure(given.cases, given.parallel, given.rounds))


if __name__ == "__main__":
    main()
