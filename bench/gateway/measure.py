"""Headrace against nginx, sglang-router, the LiteLLM proxy and no gateway at all, in one run.

    python bench/gateway/measure.py [--quick] [--peers DIR] [--only whole,streams,memory,latency]
                                    [--gateways headrace,nginx] [--rounds 5] [--seconds 4] [--json]

All gateways run at once on the first core, each as an operator would run it (gateways.py); the model
server and the load have the other cores. They take turns within each round, in another order each
time, so that the machine's moods fall on all alike. What counts is the CPU time a gateway spends on a
request or a chunk, system calls and background threads included: "per core" is what one core could do
at that price. It hardly depends on what else the machine does; requests a second, bounded by the load
as well, do.

    whole     whole answers on 1, 16 and 64 connections (wrk)
    streams   30 chunks an answer, each in a packet of its own: 16, 256 and 1,000 at a time
    memory    1,000 streams with a chunk every two seconds
    latency   500 requests/s at a constant rate, counted from when each was due

The model server is upstream.py, the load wrk, streams.py and pace.py. Exits with 1 if a gateway
failed under load. See docs/benchmarks.md.
"""

import argparse
import dataclasses
import json
import os
import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.gateway.gateways import HOW_TO_INSTALL, NAMES, Gateway, Upstream, missing
from bench.gateway.load import LoadFailed, memory, pace, streams, whole
from bench.gateway.report import Seen, report

__all__ = ["main"]

S = TypeVar("S")
MEASURES = ("whole", "streams", "memory", "latency")
CONNECTIONS = (1, 16, 64)
STREAMS = {16: 1, 256: 12, 1000: 48}
"""Streams at a time, and milliseconds between the chunks of each: some 20,000 chunks/s in all."""
SLOW_STREAMS = 1000
RATE = 500.0


class Run:
    """One run: who takes part, what loads them, and what has been seen."""

    def __init__(
        self, gateways: Sequence[Gateway], load: set[int], options: argparse.Namespace, folder: Path
    ) -> None:
        self.seen = Seen()
        self._gateways = gateways
        self._load = load
        self._seconds: float = options.seconds
        self._rounds: int = options.rounds
        self._only: list[str] = options.only
        self._script = folder / "post.lua"

    def all(self) -> Seen:
        if "memory" in self._only:
            self._take_turns(0, self._see_memory)
        for number in range(self._rounds):
            print(f"round {number + 1} of {self._rounds}", file=sys.stderr)
            if "whole" in self._only:
                for connections in CONNECTIONS:
                    self._take_turns(number, partial(self._see_whole, connections))
            if "streams" in self._only:
                for count in STREAMS:
                    self._take_turns(number, partial(self._see_streams, count))
            if "latency" in self._only:
                self._take_turns(number, self._see_latency)
        return self.seen

    def _take_turns(self, number: int, act: Callable[[Gateway], None]) -> None:
        """Put each gateway under the same load, in an order of its own each round."""
        order = list(self._gateways)
        random.Random(number).shuffle(order)
        for gateway in order:
            try:
                act(gateway)
            except LoadFailed as error:
                self.seen.failures.append(f"failed: {error}")
                print(f"failed: {error}", file=sys.stderr)

    def _see_memory(self, gateway: Gateway) -> None:
        if gateway.tree is not None:
            self.seen.memory[gateway.name] = memory(gateway, self._load, SLOW_STREAMS)

    def _see_whole(self, connections: int, gateway: Gateway) -> None:
        sample = whole(gateway, self._load, connections, self._seconds, self._script)
        self._samples(self.seen.whole, connections, gateway).append(sample)

    def _see_streams(self, count: int, gateway: Gateway) -> None:
        sample = streams(gateway, self._load, count, STREAMS[count], self._seconds)
        self._samples(self.seen.streams, count, gateway).append(sample)

    def _see_latency(self, gateway: Gateway) -> None:
        sample = pace(gateway, self._load, RATE, self._seconds)
        by_name = self.seen.pace or {each.name: [] for each in self._gateways}
        self.seen.pace = by_name
        by_name[gateway.name].append(sample)

    def _samples(self, seen: dict[int, dict[str, list[S]]], size: int, gateway: Gateway) -> list[S]:
        by_name = seen.setdefault(size, {each.name: [] for each in self._gateways})
        return by_name[gateway.name]


def as_json(seen: Seen) -> str:
    return json.dumps(vars(seen), default=dataclasses.asdict)


def listed(allowed: Sequence[str]) -> Callable[[str], list[str]]:
    def parse(text: str) -> list[str]:
        names = text.split(",")
        if unknown := [each for each in names if each not in allowed]:
            raise argparse.ArgumentTypeError(
                f"{', '.join(unknown)}: choose from {', '.join(allowed)}"
            )
        return names

    return parse


def options_of(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "--quick", action="store_true", help="a minute or two: one round, without litellm"
    )
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--only", type=listed(MEASURES), default=list(MEASURES), metavar="MEASURES")
    parser.add_argument("--gateways", type=listed(NAMES), metavar="NAMES")
    parser.add_argument(
        "--peers", action="append", default=[], metavar="DIR", help="look there, too"
    )
    parser.add_argument("--json", action="store_true", help="every sample, for other programs")
    options = parser.parse_args(arguments)
    if options.gateways is None:
        # One that takes 15 ms a request would take most of the minute.
        options.gateways = [each for each in NAMES if each != "litellm" or not options.quick]
    options.rounds = options.rounds or (1 if options.quick else 5)
    options.seconds = options.seconds or (1.0 if options.quick else 4.0)
    return options


def main() -> int:
    options = options_of(None)
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        print("error: one core is not enough: the gateway needs one of its own", file=sys.stderr)
        return 2
    absent = missing(options.gateways, options.peers)
    for name in absent:
        print(f"missing: {name}. To have it: {HOW_TO_INSTALL[name]}", file=sys.stderr)
    if "wrk" in absent:
        options.only = [each for each in options.only if each != "whole"]
    ours, upstream_core = {cores[0]}, {cores[1]}
    load = {cores[2]} if len(cores) > 2 else upstream_core
    os.sched_setaffinity(0, set(cores[1:]))
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        upstream = Upstream(upstream_core, Path(name))
        stack.callback(upstream.close)
        gateways = []
        for each in options.gateways:
            if each not in absent:
                gateway = Gateway.start(each, upstream, ours, options.peers)
                stack.callback(gateway.close)
                gateways.append(gateway)
        seen = Run(gateways, load, options, Path(name)).all()
    print(as_json(seen) if options.json else report(seen))
    return 1 if seen.failures else 0


if __name__ == "__main__":
    sys.exit(main())
