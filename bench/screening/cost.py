"""What the text steps cost: each detector's speed, and what one streamed piece pays on its way.

    python bench/screening/cost.py [--seconds 0.3]

Printed, for English and Chinese text: megabytes of UTF-8 per second for each detector and for
`normalize` and the language guess on prompts of 1,000 characters; then microseconds for each piece of
a streamed answer (64 pieces, as tokens come) through the screen and refine filters, as a ratio to a
filter that passes everything on, measured in turn with it. `share` is what that takes of a
second's work at 200 pieces a second, which eight streams make on two cores. All times are of the
processor. What detectors say of a text is kept, so their rows are of a text that comes again where they
keep it (`injection`, `instruction`); `new` is both steps on prompts of which nothing is kept.
"""

import argparse
import asyncio
import itertools
import re
import time
from collections.abc import Callable
from pathlib import Path

from headrace.access.principal import Principal
from headrace.pipeline.step import TextFilter
from headrace.pipeline.steps.normalize import NormalizeSettings, NormalizeStep
from headrace.pipeline.steps.normalize.language import identify, load_profiles
from headrace.pipeline.steps.normalize.text import normalize_text
from headrace.pipeline.steps.refine import RefineSettings, RefineStep
from headrace.pipeline.steps.screen import ScreenSettings, ScreenStep
from headrace.pipeline.turn import Turn
from headrace.screening.policy import PolicyLibrary
from headrace.screening.registry import detectors
from headrace.types import Message

ENGLISH = (
    "The mill stands by the river, and in 1874 its owner, a careful man, wrote down every sack. "
    "Could you explain how the wheel drives the stones? Use short sentences: 3 to 5, please. "
)
CHINESE = (
    "水车由河水推动，磨坊主人在1874年记下了每一袋面粉。请用三到五句话解释水轮如何带动磨石，谢谢！"
)
PIECES = 64
PIECES_PER_S = 200


class PassThrough:
    """The least a filter can do."""

    def push(self, text: str) -> str:
        return text

    def finish(self, reason: object) -> str:
        return ""


def seconds_per_call(call: Callable[[], object], budget_s: float) -> float:
    """The best of several rounds: what it takes when nothing else disturbs."""
    call()
    began = time.process_time()
    call()
    count = max(1, int(budget_s / 5 / max(time.process_time() - began, 1e-7)))
    best = float("inf")
    for _ in range(5):
        began = time.process_time()
        for _ in range(count):
            call()
        best = min(best, (time.process_time() - began) / count)
    return best


def answer_pieces(text: str) -> list[str]:
    """As a tokenizer cuts: words with the space before them, Chinese by one or two letters."""
    found = re.findall(r" ?[A-Za-z0-9]+|[\u4e00-\u9fff]{1,2}|[^\w\s]|\s", text * 4)
    return found[:PIECES]


def turn_of(text: str) -> Turn:
    return Turn(
        principal=Principal(key_id="bench", name="bench", role="user"),
        messages=[Message(role="user", content=text)],
    )


def streamed(make: Callable[[], list[TextFilter]], pieces: list[str]) -> None:
    filters = make()
    for piece in pieces:
        text = piece
        for each in filters:
            text = each.push(text)
            if not text:
                break
    for each in filters:
        each.finish("stop")


def whole_texts(prompt: str, budget_s: float) -> None:
    size = len(prompt.encode())
    rows: list[tuple[str, Callable[[], object]]] = [
        (name, lambda each=each: list(each.detect(prompt)))  # type: ignore[misc]
        for name, (each, _) in detectors().items()
    ]
    rows += [("normalize", lambda: normalize_text(prompt)), ("language", lambda: identify(prompt))]
    for name, call in rows:
        each_s = seconds_per_call(call, budget_s)
        print(f"  {name:<16} {size / each_s / 1e6:9.1f} MB/s {each_s * 1e6:9.1f} us a prompt")


def whole_steps(prompt: str, budget_s: float) -> None:
    policy = PolicyLibrary.load(Path("/nonexistent"), {}).get("default")
    screen = ScreenStep(ScreenSettings(), policy, side="input", restores=False)
    normalize = NormalizeStep(NormalizeSettings())

    async def prepare(text: str) -> None:
        turn = turn_of(text)
        await normalize.prepare(turn)
        await screen.prepare(turn)

    number = itertools.count()
    with asyncio.Runner() as runner:
        new_s = seconds_per_call(lambda: runner.run(prepare(f"{next(number)} {prompt}")), budget_s)
        again_s = seconds_per_call(lambda: runner.run(prepare(prompt)), budget_s)
    for name, each_s in (("both steps, new", new_s), ("again", again_s)):
        print(f"  {name:<16} {each_s * 1e3:9.3f} ms of the 5 ms that TTFT may grow by")


def stream_steps(text: str, budget_s: float) -> None:
    policy = PolicyLibrary.load(Path("/nonexistent"), {}).get("default")
    pieces = answer_pieces(text)
    screen = ScreenStep(ScreenSettings(), policy, side="output", restores=True)
    refine = RefineStep(RefineSettings())

    def filters(*steps: ScreenStep | RefineStep, masked: bool = False) -> list[TextFilter]:
        turn = turn_of(text)
        if masked:
            turn.masks.placeholder("email", "kim@example.org")
        made = (step.filter(turn, "text", 0) for step in steps)
        return [each for each in made if each is not None]

    cases: dict[str, Callable[[], list[TextFilter]]] = {
        "pass-through": lambda: [PassThrough()],
        "screen": lambda: filters(screen),
        "screen, masks": lambda: filters(screen, masked=True),
        "refine": lambda: filters(refine),
        "screen + refine": lambda: filters(screen, refine),
    }
    base_s = 0.0
    for name, make in cases.items():
        each_s = seconds_per_call(lambda make=make: streamed(make, pieces), budget_s) / len(pieces)  # type: ignore[misc]
        base_s = base_s or each_s
        share = each_s * PIECES_PER_S
        print(f"  {name:<16} {each_s * 1e6:9.2f} us a piece {each_s / base_s:9.1f} x {share:9.3%}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=0.3, help="time for each measurement")
    budget_s = parser.parse_args().seconds
    load_profiles()
    for language, text in (("English", ENGLISH), ("Chinese", CHINESE)):
        prompt = (text * 12)[:1000]
        print(f"{language}: a prompt of {len(prompt)} characters, {len(prompt.encode())} bytes")
        whole_texts(prompt, budget_s)
        whole_steps(prompt, budget_s)
        print(f"{language}: an answer in {PIECES} pieces")
        stream_steps(text, budget_s)


if __name__ == "__main__":
    main()
