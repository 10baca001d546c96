"""What the default pipeline costs for a prompt and an answer of 1,000 characters, step by step.

    python bench/pipeline_cost.py [--turns 60] [--pause-ms 0] [--limit-ms 2]

The steps are `normalize`, `template`, `screen`, `generate`, `screen` and `refine`, over a model
that says its answer from memory, in pieces of about four characters as a tokenizer cuts. Printed:
CPU of this process per turn (the median of the quickest tenth), for the whole, and for the same pipeline without each step;
the difference is that step's share. `rest` is the turn itself: parameters, balancing, gathering.
With `--pause-ms 10` the model waits between pieces, as a real one does, so that nothing stays in
the processor's caches; then the last line says what one piece costs. (`idle` is the same loop of
waits without a pipeline.) Exits with 1 when the whole costs more than `--limit-ms`.
"""

import argparse
import asyncio
import gc
import re
import statistics
import sys
import tempfile
import time
from contextlib import aclosing
from pathlib import Path
from typing import cast

import msgspec

from headrace.access.principal import Principal
from headrace.config.load import load_service
from headrace.config.model import StepConfig
from headrace.models.backend import Call, Embeddings, ListedModel, RateLimits
from headrace.models.box import ModelBox
from headrace.models.builder import EMBEDDING
from headrace.models.deployment import Deployment, Runner
from headrace.models.model import Model
from headrace.pipeline.compile import compile_pipeline
from headrace.pipeline.conversation import ConversationStore
from headrace.pipeline.pipeline import Pipeline
from headrace.pipeline.turn import Turn
from headrace.prompts.library import PromptLibrary
from headrace.screening.policy import PolicyLibrary
from headrace.telemetry.escalation import Escalation
from headrace.telemetry.trace import Trace
from headrace.types import Delta, Deltas, Message, Params, Usage

STEPS = ("normalize", "template", "screen in", "generate", "screen out", "refine")
PROMPT = (
    "The mill stands by the river, and in 1874 its owner, a careful man, wrote down every sack of flour. "
    "Could you explain how the wheel drives the stones? Use short sentences: 3 to 5, please.\n"
)
ANSWER = (
    "Water from the headrace falls into the buckets and turns the wheel. The wheel's shaft carries a large "
    "gear inside the mill:\n\n- it drives a smaller one, about 8 times as fast;\n- that one turns the upper "
    "stone, while the lower one stays where it is.\n\nThe grain runs in between and leaves as flour. "
)
SIZE = 1_000
NOBODY = cast(ConversationStore, None)
"""No step here has a memory."""


class Silent:
    """A recorder that keeps nothing: the cost of traces is what bench/trace_path.py measures."""

    def started(self, trace: Trace) -> None: ...

    def record(self, trace: Trace) -> None: ...

    def escalate(self, trace: Trace, entry: Escalation) -> None: ...


class Memory:
    """A model that says the same answer each time."""

    provider = "memory"
    context_tokens = 8192
    digest = "memory"
    capacity: int | None = 64
    rate_limits: RateLimits | None = None
    rtt_s: float | None = None

    def __init__(self, pieces: list[str], pause_s: float) -> None:
        self.pieces, self.pause_s = pieces, pause_s

    async def start(self, progress: object = None) -> None: ...

    async def stop(self) -> None: ...

    def is_ready(self) -> bool:
        return True

    async def wait_ready(self, timeout_s: float) -> bool:
        return True

    async def generate(self, call: Call) -> Deltas:
        for piece in self.pieces:
            if self.pause_s:
                await asyncio.sleep(self.pause_s)
            yield Delta(text=piece)
        yield Delta(finish_reason="stop")
        yield Delta(usage=Usage(300, len(self.pieces)))

    async def embed(self, inputs: object, *, kind: object = None) -> Embeddings:
        raise NotImplementedError

    async def listed(self) -> tuple[ListedModel, ...]:
        return ()

    async def count_tokens(self, messages: object) -> int:
        return 300

    def token_upper_bound(self, messages: object) -> int | None:
        return 300


async def unlock(subject: str) -> None:
    """Texts are not kept, so no key is needed."""


def sized(text: str) -> str:
    """So often that it has 1,000 characters."""
    return (text * (SIZE // len(text) + 1))[:SIZE]


class Bench:
    """Pipelines over one model, without some of the steps."""

    def __init__(self, root: Path, pause_s: float) -> None:
        environ = {"HEADRACE_HOME": str(root / "home")}
        self.pause_s = pause_s
        self.pieces = re.findall(r" ?\w{1,8}|[^\w ]| ", sized(ANSWER))
        deployment = Deployment(key="m-0", runner=Runner(Memory(self.pieces, pause_s)))
        models = {name: Model(name, [deployment], Params()) for name in ("m", EMBEDDING)}
        self._models = ModelBox(models, {}, {})
        self._config = load_service(root, environ)
        self._prompts = PromptLibrary.load(root, environ)
        self._policies = PolicyLibrary.load(root, environ)

    def pipeline(self, *without: str) -> Pipeline:
        """The built-in pipeline but for these steps."""
        screens = iter(("screen in", "screen out"))
        steps: list[StepConfig] = []
        for each in self._config.pipeline:
            name = next(screens) if each.name == "screen" else each.name
            if name in STEPS and name not in without:
                steps.append(each)
        return compile_pipeline(
            msgspec.structs.replace(self._config, pipeline=steps),
            self._models,
            self._prompts,
            self._policies,
            NOBODY,
            recorder=Silent(),
            unlock=unlock,
        )

    async def cpu_s(self, pipeline: Pipeline) -> float:
        """CPU of one turn."""
        turn = Turn(
            principal=Principal(key_id="bench", name="bench", role="user"),
            messages=[Message(role="user", content=sized(PROMPT))],
            stream=True,
        )
        began = time.process_time()
        async with aclosing(pipeline.answer(turn)) as deltas:
            async for _ in deltas:
                pass
        return time.process_time() - began

    async def idle_s(self) -> float:
        """CPU of the waits alone."""
        began = time.process_time()
        async for _ in Memory(self.pieces, self.pause_s).generate(Call([], Params())):
            pass
        return time.process_time() - began


async def measure(bench: Bench, turns: int) -> dict[str, float]:
    """CPU per turn of the whole, and without each step, measured in turn."""
    removable = [name for name in STEPS if name != "generate"]
    made = {"whole": bench.pipeline(), "rest": bench.pipeline(*removable)}
    made |= {name: bench.pipeline(name) for name in removable}
    taken: dict[str, list[float]] = {name: [] for name in (*made, "idle")}
    gc.collect()
    gc.freeze()
    for _ in range(turns):
        for name, pipeline in made.items():
            taken[name].append(await bench.cpu_s(pipeline))
        taken["idle"].append(await bench.idle_s())
    # The quickest tenth: what it takes when nothing else has the processor's caches.
    return {
        name: statistics.median(sorted(each)[: turns // 10 + 1]) for name, each in taken.items()
    }


def main() -> None:
    options = arguments()
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.pause_ms / 1e3)
        taken = asyncio.run(measure(bench, options.turns))
    whole, idle = taken.pop("whole"), taken.pop("idle")
    print(
        f"{SIZE} characters asked and answered in {len(bench.pieces)} pieces; quickest of {options.turns} turns"
    )
    rest = taken.pop("rest")
    shares = {name: whole - without for name, without in taken.items()} | {"rest": rest - idle}
    for name, share in shares.items():
        print(f"  {name:<12}{share * 1e3:>8.3f} ms{share / (whole - idle):>8.0%}")
    print(f"  {'whole':<12}{(whole - idle) * 1e3:>8.3f} ms  (idle {idle * 1e3:.3f} ms apart)")
    print(f"  {(whole - idle) / len(bench.pieces) * 1e6:.1f} us a piece")
    if (whole - idle) * 1e3 > options.limit_ms:
        sys.exit(f"more than {options.limit_ms} ms")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=60)
    parser.add_argument("--pause-ms", type=float, default=0)
    parser.add_argument("--limit-ms", type=float, default=2.0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
