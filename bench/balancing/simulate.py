"""Headrace's balancer against the usual ones: 200 unequal deployments, faults, heavy-tailed lengths.

    python bench/balancing/simulate.py [--requests 1000000] [--load 0.75] [--json]

A discrete-event simulation (world.py) with every policy (policy.py) in the same world: the same
servers, the same arrivals, the same faults at the same times. Printed for each, first with rivals
that know nothing of health, then with rivals that have Headrace's own health rules, then with rivals
that besides know the capacity of every server (Headrace is told of half, but in the last table):

    p50, p99    seconds from arrival to the last token, over all requests; one that failed or was
                refused counts as never answered, shown as the deadline
    goodput     requests a second answered in full within 2 s plus twice the time of a usual server
    failed      share of requests without an answer
"""

import argparse
import json
import sys
import time
from array import array
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from bench.balancing.policy import ATTEMPTS, Ours, Policy, Rival
from bench.balancing.world import Attempt, Request, World, WorldSettings

__all__ = ["Result", "simulate"]

SLACK_S = 2.0
SLACK = 2.0
RULES = ("round robin", "least outstanding", "power of two")
OURS = "headrace"
OURS_LEARNING = "headrace, nothing declared"
OURS_HINTED = "headrace, max_tokens known"
OURS_DECLARED = "headrace, all declared"
DECLARED = {OURS: 0.5, OURS_HINTED: 0.5, OURS_LEARNING: 0.0, OURS_DECLARED: 1.0}
WEIGHTED = ", capacities known"


@dataclass(frozen=True)
class Result:
    """What became of all requests under one policy."""

    policy: str
    p50_s: float
    p99_s: float
    p999_s: float
    goodput: float
    """Requests a second."""
    failed: float
    """Share."""
    sends: float
    """Attempts per request."""
    took_s: float


class Run:
    """The gateway of the simulation: sends, times out, retries, counts."""

    def __init__(self, settings: WorldSettings, policy: str, *, ejects: bool) -> None:
        self.world = World(settings)
        self._settings = settings
        self._policy: Policy
        rule = policy.removesuffix(WEIGHTED)
        if rule in RULES:
            self._policy = Rival(self, rule, ejects=ejects, weighted=rule != policy)
        else:
            self._policy = Ours(self, declared=DECLARED[policy], hinted=policy == OURS_HINTED)
        self.name = policy
        self._latencies = array("d")
        self._good = 0
        self._failed = 0
        self._sends = 0
        self.world.on_first = self._first
        self.world.on_done = self._done

    def run(self) -> Result:
        began = time.perf_counter()
        self.world.run(self._policy.place)
        total = self._settings.requests
        self._failed = total - len(self._latencies)  # some still run long after their deadline
        times = sorted([*self._latencies, *([self._settings.deadline_s] * self._failed)])
        return Result(
            self.name,
            times[total // 2],
            times[int(total * 0.99)],
            times[int(total * 0.999)],
            self._good / (total / self.world.rate),
            self._failed / total,
            self._sends / total,
            time.perf_counter() - began,
        )

    def send(self, request: Request, server: int, state: object, patience_s: float) -> None:
        world = self.world
        self._sends += 1
        request.attempts += 1
        attempt = Attempt(request, world.servers[server], world.now, state)
        world.later(patience_s, self._lose_patience, attempt)
        world.send(attempt)

    def give_up(self, request: Request) -> None:
        self._failed += 1

    def _lose_patience(self, attempt: Attempt) -> None:
        if attempt.is_open and not attempt.has_first:
            self.world.cancel(attempt)
            self._done(attempt, "timed_out")

    def _first(self, attempt: Attempt) -> None:
        self._policy.first(attempt)

    def _done(self, attempt: Attempt, how: str) -> None:
        request = attempt.request
        again = self._policy.done(attempt, how)
        passed_s = self.world.now - request.arrived_at
        if how == "ok" and passed_s < self._settings.deadline_s:
            self._latencies.append(passed_s)
            usual_s = request.completion * self.world.usual_decode_s
            self._good += passed_s <= SLACK_S + SLACK * usual_s
        elif again and request.attempts < ATTEMPTS and passed_s < self._settings.deadline_s:
            self._policy.place(request)
        else:
            self._failed += 1


def simulate(settings: WorldSettings, policy: str, ejects: bool = False) -> Result:
    """One policy in the world of these settings."""
    return Run(settings, policy, ejects=ejects).run()


def report(title: str, ours: Result, results: Sequence[Result]) -> None:
    print(f"\n{title}")
    print(
        f"{'':<36}{'p50 s':>8}{'p99 s':>8}{'p99.9 s':>9}{'goodput/s':>11}{'failed':>9}"
        f"{'sends':>7}{'p99 ÷ ours':>12}{'goodput ÷ ours':>16}{'took s':>8}"
    )
    for each in results:
        print(
            f"{each.policy:<36}{each.p50_s:>8.2f}{each.p99_s:>8.2f}{each.p999_s:>9.2f}"
            f"{each.goodput:>11.1f}{each.failed:>9.3%}{each.sends:>7.3f}"
            f"{each.p99_s / ours.p99_s:>12.2f}{each.goodput / ours.goodput:>16.3f}"
            f"{each.took_s:>8.0f}"
        )


def beats(ours: Result, rivals: Sequence[Result]) -> bool:
    """Whether it is better than each of them on p99 and on goodput."""
    return all(ours.p99_s < each.p99_s and ours.goodput > each.goodput for each in rivals)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--servers", type=int, default=200)
    parser.add_argument("--load", type=float, default=WorldSettings.load)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", nargs="*", help="run these policies alone, with ejection")
    parser.add_argument("--json", action="store_true", help="print a JSON object at the end")
    options = parser.parse_args()
    settings = WorldSettings(
        servers=options.servers, requests=options.requests, load=options.load, seed=options.seed
    )
    runs = [(rule, ejects) for ejects in (False, True) for rule in RULES]
    runs = [*((name, True) for name in DECLARED), *runs]
    runs += [(rule + WEIGHTED, True) for rule in RULES]
    if options.only:
        runs = [(name, True) for name in options.only]
    world = World(settings)
    print(
        f"{len(world.servers)} servers with {sum(each.slots for each in world.servers)} slots, "
        f"{settings.requests} requests at {world.rate:.0f}/s ({settings.load:.0%} of capacity), "
        f"{settings.requests / world.rate:.0f} s simulated"
    )
    with ProcessPoolExecutor() as pool:
        futures = [pool.submit(simulate, settings, *run) for run in runs]
        results = {run: future.result() for run, future in zip(runs, futures, strict=True)}
    if options.only:
        for each in results.values():
            print(each)
        return
    ours = [results[name, True] for name in (OURS, OURS_LEARNING, OURS_HINTED)]
    declared = results[OURS_DECLARED, True]
    weighted = [results[rule + WEIGHTED, True] for rule in RULES]
    bare = [results[rule, False] for rule in RULES]
    same = [results[rule, True] for rule in RULES]
    report("Rivals without health checks", ours[0], [*ours, *bare])
    report("Rivals with Headrace's health rules", ours[0], [*ours, *same])
    report(
        "Rivals with Headrace's health rules and every capacity", declared, [declared, *weighted]
    )
    rivals = [*bare, *same]
    is_best = beats(ours[0], rivals) and beats(declared, weighted)
    print(f"\nheadrace is best on p99 and goodput: {'yes' if is_best else 'NO'}")
    if options.json:
        print(json.dumps({f"{name} {ejects}": asdict(r) for (name, ejects), r in results.items()}))
    sys.exit(not is_best)


if __name__ == "__main__":
    main()
