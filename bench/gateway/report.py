"""The tables: what was measured, the ratios, and the aims beside them."""

import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.gateway.load import Memory, Pace, Streams, Whole

__all__ = ["Seen", "report"]

OURS, NGINX, ROUTER = "headrace", "nginx", "sglang-router"


class Seen:
    """Every sample of a run, by measure, load and gateway."""

    def __init__(self) -> None:
        self.whole: dict[int, dict[str, list[Whole]]] = {}
        """By connections."""
        self.streams: dict[int, dict[str, list[Streams]]] = {}
        """By streams at a time."""
        self.memory: dict[str, Memory] = {}
        self.pace: dict[str, list[Pace]] = {}
        self.failures: list[str] = []


@dataclass(frozen=True, slots=True)
class Aim:
    """One of the figures that Headrace is held to."""

    what: str
    value: float | None
    """None: it could not be measured here."""
    bound: float
    at_least: bool
    unit: str = ""

    def line(self) -> str:
        sign = "≥" if self.at_least else "≤"
        bound = f"{sign} {self.bound:g}{self.unit}"
        if self.value is None:
            return f"{self.what:52}{'-':>12}{bound:>12}   not measured"
        is_met = self.value >= self.bound if self.at_least else self.value <= self.bound
        value = f"{self.value:.2f}{self.unit}"
        return f"{self.what:52}{value:>12}{bound:>12}   {'met' if is_met else 'NOT MET'}"


def median(samples: Iterable[float]) -> float:
    return statistics.median(list(samples) or [float("nan")])


def ratio(costs: Mapping[str, list[float]], other: str) -> float | None:
    """How much more a core does with Headrace than with another; rounds are compared in pairs."""
    pairs = list(zip(costs.get(OURS, ()), costs.get(other, ()), strict=False))
    return median(theirs / ours for ours, theirs in pairs) if pairs else None


def added(seen: Mapping[str, list[Pace]], name: str, pick: Callable[[Pace], float]) -> float | None:
    """What a gateway adds to a latency: the median of the rounds."""
    pairs = list(zip(seen.get(name, ()), seen.get("direct", ()), strict=False))
    return median(pick(a) - pick(b) for a, b in pairs) if pairs else None


def report(seen: Seen) -> str:
    lines: list[str] = []
    for connections, whole in seen.whole.items():
        title = f"whole answers, {connections} connection{'s' * (connections > 1)}"
        rates = {name: [each.per_s for each in samples] for name, samples in whole.items()}
        costs = {name: [each.cpu_us for each in samples] for name, samples in whole.items()}
        lines += _costs(title, "requests", rates, costs)
    for count, streams in seen.streams.items():
        rates = {name: [each.chunks_per_s for each in samples] for name, samples in streams.items()}
        costs = {name: [each.cpu_us for each in samples] for name, samples in streams.items()}
        lines += _costs(f"{count} streams of 30 chunks", "chunks", rates, costs)
        broken = {name: sum(s.failed for s in samples) for name, samples in streams.items()}
        lines += [f"  {name}: {n} streams broke off" for name, n in broken.items() if n]
    if seen.memory:
        lines += ["", f"{'1,000 slow streams':30}{'idle MB':>12}{'MB':>12}{'more':>12}"]
        lines += [
            f"  {name:28}{each.idle_mb:12.0f}{each.peak_mb:12.0f}{each.peak_mb - each.idle_mb:12.0f}"
            + (f"   {each.failed} streams broke off" if each.failed else "")
            for name, each in seen.memory.items()
        ]
    if seen.pace:
        lines += [
            "",
            f"{'latency at 500 requests/s, ms':30}{'p50':>12}{'p99':>12}{'p50 added':>12}{'p99 added':>12}",
        ]
        lines += [_pace_line(seen, name) for name in seen.pace]
    return "\n".join([*lines, "", *_aims(seen), *seen.failures]).strip("\n")


def _costs(
    title: str, what: str, rates: Mapping[str, list[float]], costs: Mapping[str, list[float]]
) -> list[str]:
    head = f"{title:30}{f'{what}/s':>12}{'CPU µs each':>12}{'per core':>12}{'× nginx':>10}{'× sglang':>10}"
    lines = ["", head]
    for name in rates:
        line = f"  {name:28}{median(rates[name]):12,.0f}"
        cost = median(costs[name])
        if cost:
            line += f"{cost:12.1f}{1e6 / cost:12,.0f}"
            for other in (NGINX, ROUTER):
                pairs = list(zip(costs[name], costs.get(other, ()), strict=False))
                line += f"{median(b / a for a, b in pairs):10.2f}" if pairs else f"{'-':>10}"
        lines.append(line)
    return lines


def _pace_line(seen: Seen, name: str) -> str:
    samples = seen.pace[name]
    line = (
        f"  {name:28}{median(s.p50 for s in samples):12.2f}{median(s.p99 for s in samples):12.2f}"
    )
    if name != "direct" and "direct" in seen.pace:
        for pick in (_p50, _p99):
            line += f"{added(seen.pace, name, pick):12.2f}"
    answered = min(each.answered for each in samples)
    return line if answered >= 1.0 else f"{line}   answered {answered:.0%} only"


def _p50(pace: Pace) -> float:
    return pace.p50


def _p99(pace: Pace) -> float:
    return pace.p99


def _aims(seen: Seen) -> Sequence[str]:
    aims: list[Aim] = []
    for connections, whole in seen.whole.items():
        costs = {name: [each.cpu_us for each in samples] for name, samples in whole.items()}
        what = f"requests per core, {connections} connection{'s' * (connections > 1)}"
        aims.append(Aim(f"{what}, × sglang-router", ratio(costs, ROUTER), 3.0, at_least=True))
        aims.append(Aim(f"{what}, × nginx", ratio(costs, NGINX), 0.35, at_least=True))
    for count, streams in seen.streams.items():
        costs = {name: [each.cpu_us for each in samples] for name, samples in streams.items()}
        what = f"chunks per core, {count} streams, × sglang-router"
        aims.append(Aim(what, ratio(costs, ROUTER), 1.0, at_least=True))
    if seen.pace:
        p50, p99 = (added(seen.pace, OURS, pick) for pick in (_p50, _p99))
        aims.append(Aim("added at 500 requests/s, p50", p50, 0.3, at_least=False, unit=" ms"))
        aims.append(Aim("added at 500 requests/s, p99", p99, 1.0, at_least=False, unit=" ms"))
    if OURS in seen.memory:
        memory = seen.memory[OURS].peak_mb
        aims.append(Aim("1,000 slow streams", memory, 150.0, at_least=False, unit=" MB"))
    if not aims:
        return []
    return [f"{'headrace':52}{'measured':>12}{'aim':>12}", *(each.line() for each in aims)]
