"""What the answer cache costs and gives: on the way of a call, among many questions, when full.

    .venv/bin/python bench/cache.py [--calls 3000]

First microseconds a call, beside the same call straight to the model, whose answer is thirty pieces
that are there already. Then finding the nearest of many vectors: our two passes, every cosine in
Python, and NumPy where it is installed, with the share of nearest ones found. Last what two ways to
make room keep, on questions of which some are asked often and runs of others once. Compare within
one run; the machine decides the rest.
"""

import argparse
import asyncio
import random
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing

from headrace.access.principal import Principal
from headrace.models.backend import Call, Embeddings, ListedModel, RateLimits
from headrace.models.cache.cache import AnswerCache
from headrace.models.cache.difference import difference
from headrace.models.cache.memory import OVERHEAD_BYTES, MemoryStore
from headrace.models.cache.question import Question
from headrace.models.cache.semantic import Meaning, SemanticIndex
from headrace.models.cache.settings import CacheSettings
from headrace.models.deployment import Deployment, Runner
from headrace.models.model import Model
from headrace.types import Delta, Deltas, Message, Params, TextKind, Usage

PIECES = 30
KEY = Principal("01a20fe2-cd62-7085-8c6d-2ea2d425662e", "reporting", "user")
PROMPT = "How much is the fish, and what does it cost to have it sent? " * 16
DIMENSIONS = 576


class Ready:
    """A backend whose answers are there at once."""

    provider = "bench"
    context_tokens = 4096
    digest = "0" * 64
    rate_limits: RateLimits | None = None
    capacity: int | None = None
    rtt_s: float | None = None

    async def start(self, progress: object = None) -> None:
        pass

    async def stop(self) -> None:
        pass

    def is_ready(self) -> bool:
        return True

    async def wait_ready(self, timeout_s: float) -> bool:
        return True

    async def generate(self, call: Call) -> Deltas:
        for _ in range(PIECES):
            yield Delta(text="word ")
        yield Delta(finish_reason="stop")
        yield Delta(usage=Usage(300, PIECES))

    async def embed(self, inputs: Sequence[str], *, kind: TextKind | None = None) -> Embeddings:
        return Embeddings([], Usage())

    async def listed(self) -> Sequence[ListedModel]:
        return ()

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        return 300

    def token_upper_bound(self, messages: Sequence[Message]) -> int | None:
        return None


def question(model: Model, text: str, temperature: float) -> Question:
    call = Call([Message(role="user", content=text)], Params(temperature=temperature))
    return Question(
        call=call,
        target="m",
        release="sha256:4f6c",
        principal=KEY,
        ask=lambda: model.ask(call),
        call_for=lambda _: call,
    )


async def timed(what: Callable[[int], Awaitable[None]], calls: int) -> float:
    """Microseconds a call, the best of three."""
    best = float("inf")
    for turn in range(3):
        began = time.perf_counter()
        for at in range(calls):
            await what(turn * calls + at)
        best = min(best, (time.perf_counter() - began) / calls * 1e6)
    return best


async def calls(count: int) -> None:
    model = Model("m", [Deployment(key="m-0", runner=Runner(Ready()))], Params())
    off = AnswerCache(CacheSettings(enabled=False))
    on = AnswerCache(CacheSettings())

    async def direct(at: int) -> None:
        del at
        call = Call([Message(role="user", content=PROMPT)], Params(temperature=0.3))
        async with aclosing(model.ask(call).deltas(lambda _: call)) as deltas:
            async for _ in deltas:
                pass

    def through(
        cache: AnswerCache, temperature: float, *, new: bool
    ) -> Callable[[int], Awaitable[None]]:
        async def ask(at: int) -> None:
            text = f"{PROMPT}{at}" if new else PROMPT
            async with cache.open(question(model, text, temperature)) as source:
                async for _ in source.deltas:
                    pass

        return ask

    bare = await timed(direct, count)
    rows = [
        ("straight to the model", bare),
        ("past the cache (temperature 0.3)", await timed(through(off, 0.3, new=False), count)),
        ("shareable, nothing kept", await timed(through(off, 0.0, new=False), count)),
        ("miss, kept afterwards", await timed(through(on, 0.0, new=True), count)),
        ("hit", await timed(through(on, 0.0, new=False), count)),
    ]
    print(f"us a call of {PIECES} pieces, prompt of {len(PROMPT)} characters")
    for name, us in rows:
        print(f"  {name:36}{us:8.1f}{us / bare:7.2f} x")


def near_vectors(count: int, dice: random.Random) -> list[list[float]]:
    """Vectors that point much the same way, as those of language models do."""
    middle = [dice.gauss(0, 1) for _ in range(DIMENSIONS)]
    return [[each + dice.gauss(0, 0.5) for each in middle] for _ in range(count)]


def found_by_numpy(vectors: list[list[float]], query: list[float]) -> str:
    try:
        import numpy  # type: ignore[import-not-found, unused-ignore]  # not a dependency
    except ImportError:
        return "not installed"
    matrix = numpy.asarray(vectors, dtype=numpy.float32)
    best = float("inf")
    for _ in range(20):
        began = time.perf_counter()
        (matrix @ numpy.asarray(query, dtype=numpy.float32)).argmax()
        best = min(best, time.perf_counter() - began)
    return f"{best * 1e3:.2f}"


def nearest(dice: random.Random) -> None:
    print(
        f"ms to find the nearest of N vectors of {DIMENSIONS}      two passes  every cosine  NumPy   found"
    )
    for count in (100, 1000, 10_000):
        vectors = near_vectors(count, dice)
        index = SemanticIndex(count)
        meanings = [Meaning("same", each) for each in vectors]
        for at, each in enumerate(meanings):
            index.add(b"p", at.to_bytes(8), each)
        right, ours = 0, 0.0
        queries = 50
        for _ in range(queries):
            wanted = dice.randrange(count)
            query = Meaning("same", [each + dice.gauss(0, 0.25) for each in vectors[wanted]])
            began = time.perf_counter()
            found = index.nearest(b"p", query, 0.0)
            ours += time.perf_counter() - began
            right += found is not None and found.key == wanted.to_bytes(8)
        began = time.perf_counter()
        max(meanings, key=query.similarity)
        every = time.perf_counter() - began
        numpy = found_by_numpy(vectors, list(query.vector))
        print(
            f"  N = {count:<40,}{ours / queries * 1e3:8.2f}{every * 1e3:14.2f}{numpy:>15}"
            f"{right / queries:8.0%}"
        )
    one, other = PROMPT[:240], PROMPT[20:260]
    began = time.perf_counter()
    for _ in range(200):
        difference(one, other)
    print(
        f"  comparing the words of two questions of 240 characters: {(time.perf_counter() - began) * 5:.2f} ms"
    )


def kept(dice: random.Random) -> None:
    """Share of questions found again: 10,000 by Zipf's law, and runs of 300 asked once."""
    room = 500
    store = MemoryStore(room * (100 + OVERHEAD_BYTES))
    plain: OrderedDict[int, None] = OrderedDict()
    weights = [1 / (rank + 1) ** 0.9 for rank in range(10_000)]
    asked = 0
    hits = {"segmented": 0, "plain LRU": 0}
    once = 10_000
    for turn in range(60):
        batch = dice.choices(range(10_000), weights, k=1000)
        if turn % 2:
            batch += range(once, once + 300)
            once += 300
        for each in batch:
            asked += 1
            key = each.to_bytes(32)
            if store.get(key, 0.0) is not None:
                hits["segmented"] += 1
            else:
                store.put(key, b"x" * 100, 1.0)
            if each in plain:
                hits["plain LRU"] += 1
                plain.move_to_end(each)
            else:
                plain[each] = None
                if len(plain) > room:
                    plain.popitem(last=False)
    print(f"share of {asked:,} questions found again with room for {room}")
    for name, count in hits.items():
        print(f"  {name:12}{count / asked:8.1%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--calls", type=int, default=3000)
    arguments = parser.parse_args()
    asyncio.run(calls(arguments.calls))
    nearest(random.Random(7))
    kept(random.Random(7))


if __name__ == "__main__":
    main()
