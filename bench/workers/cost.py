"""What workers cost: an admission counted together, and a conversation's request handed over.

    python bench/workers/cost.py

Admissions: one call of a key under three limits let in, settled and ended, in microseconds; alone in
its process, and with a second process that does nothing else. Requests: milliseconds from a client's
request to the whole answer of a fake model, at the worker that has the conversation and at the other.
"""

import os
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from headrace.access.limits.config import Limits
from headrace.access.limits.limiter import MemoryLimiter
from headrace.access.limits.mapped.limiter import MappedLimiter, fill
from headrace.access.limits.rule import Rule
from headrace.access.principal import Principal
from headrace.storage.database import Database
from tests.running import ServiceProcess
from tests.server.workers.conftest import WORKER, ask, clients, upstreams, write_config

CALLS = 20_000
REQUESTS = 400
KEY = Principal("key", "ada", "user", "research")
LIMITS = Limits(
    rules=(
        Rule(requests_per_minute=10**9, tokens_per_minute=10**12, concurrent=10**6),
        Rule(team="research", per=("team",), usd_per_day=1e9),
    )
)


def admit(limiter: MemoryLimiter, calls: int) -> float:
    """Microseconds a call."""
    began = time.perf_counter()
    for _ in range(calls):
        call = limiter.admit(KEY, "m", 100, time.time(), estimated_cost_usd=0.001)
        call.settle(80, 0.0008)
        call.release()
    return (time.perf_counter() - began) / calls * 1e6


def admissions(folder: Path) -> None:
    database = Database.open(folder / "state.db")
    table = folder / "limits.map"
    fill(table, 2, database, now=time.time())
    found: dict[str, list[float]] = {"in memory": [], "mapped": [], "mapped, contended": []}
    memory, mapped = MemoryLimiter(LIMITS), MappedLimiter(LIMITS, table, 0)
    for _ in range(5):
        found["in memory"].append(admit(memory, CALLS))
        found["mapped"].append(admit(mapped, CALLS))
    other = os.fork()
    if other == 0:
        admit(MappedLimiter(LIMITS, table, 1), 10**9)
    for _ in range(5):
        found["mapped, contended"].append(admit(mapped, CALLS))
    os.kill(other, signal.SIGKILL)
    os.waitpid(other, 0)
    for name, values in found.items():
        print(f"admission, {name:18} {statistics.median(values):6.1f} us")


def requests(folder: Path) -> None:
    home = folder / "home"
    home.mkdir(mode=0o700)
    with upstreams() as upstream:
        write_config(folder, upstream)
        service = ServiceProcess.start(folder, home, args=("--workers", "2"))
        with clients(service) as both:
            owner = int(ask(both[0], "one", "c").headers[WORKER])
            times: dict[str, list[float]] = {"at its owner": [], "handed over": []}
            for number in range(REQUESTS):
                name = f"c{number % 2}"
                for client in both:
                    began = time.perf_counter()
                    at = ask(client, "hello", name).headers[WORKER]
                    took = (time.perf_counter() - began) * 1e3
                    which = "at its owner" if both[int(at)] is client else "handed over"
                    if number > 20:
                        times[which].append(took)
                if number % 8 == 7:
                    both[owner].get("/healthz")
        service.stop()
    for which, values in times.items():
        ordered = sorted(values)
        p50, p99 = ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]
        print(f"request, {which:12} p50 {p50:5.2f} ms, p99 {p99:5.2f} ms ({len(ordered)})")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        admissions(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        requests(Path(folder))


if __name__ == "__main__":
    main()
