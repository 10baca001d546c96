"""The loads that are put on a gateway, and what each is seen to cost it."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path

from bench.gateway.gateways import Gateway, find, pinned

__all__ = ["LoadFailed", "Memory", "Pace", "Streams", "Whole", "memory", "pace", "streams", "whole"]

HERE = Path(__file__).parent
SCRIPT = """\
wrk.method = "POST"
wrk.body = '{"model":"m","messages":[{"role":"user","content":"What is the capital of France?"}],"max_tokens":32}'
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. os.getenv("BENCH_KEY")
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('\\nJSON {"requests":%d,"seconds":%f,"failed":%d}\\n', summary.requests,
    summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout))
end
"""
LOOK_S = 0.25
OVERLOADED = ("litellm",)
"""Cannot carry these loads on one core; how much was lost is said instead."""


class LoadFailed(Exception):
    """A gateway did not answer as it should; figures of such a run would mean nothing."""


@dataclass(frozen=True, slots=True)
class Whole:
    """Whole answers, one after the other on so many connections."""

    per_s: float
    cpu_us: float
    """Of the gateway, per request; 0 where there is none."""


@dataclass(frozen=True, slots=True)
class Streams:
    """Streamed answers, so many at a time."""

    chunks_per_s: float
    cpu_us: float
    """Of the gateway, per chunk; what a stream costs at its ends is in it."""
    failed: int


@dataclass(frozen=True, slots=True)
class Memory:
    """While many streams are open that say little."""

    idle_mb: float
    peak_mb: float
    failed: int


@dataclass(frozen=True, slots=True)
class Pace:
    """Latencies at a constant rate, in milliseconds."""

    p50: float
    p99: float
    answered: float
    """Share of the requests that were answered in time to be counted."""


def whole(
    gateway: Gateway, cores: set[int], connections: int, seconds: float, script: Path
) -> Whole:
    wrk = find("wrk", ())
    assert wrk is not None
    script.write_text(SCRIPT)
    before = 0.0 if gateway.tree is None else gateway.tree.cpu_s()
    command = [wrk, "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--timeout", "60s"]
    command += ["-s", str(script), f"http://127.0.0.1:{gateway.port}/v1/chat/completions"]
    said = _run(command, cores, {"BENCH_KEY": gateway.key})
    seen = json.loads(said.rpartition("JSON ")[2])
    if seen["failed"] or not seen["requests"]:
        raise LoadFailed(f"{gateway.name}, {connections} connections: {seen}")
    # wrk does not count what is on its way when it stops; the gateway has worked for it.
    requests = seen["requests"] + connections
    spent_s = 0.0 if gateway.tree is None else gateway.tree.settled_cpu_s() - before
    return Whole(seen["requests"] / seen["seconds"], spent_s / requests * 1e6)


def streams(
    gateway: Gateway, cores: set[int], count: int, every_ms: int, seconds: float
) -> Streams:
    before = 0.0 if gateway.tree is None else gateway.tree.cpu_s()
    seen = json.loads(
        _run(_streams_command(gateway, count, every_ms, seconds, 30, 0.03 * every_ms), cores)
    )
    spent_s = 0.0 if gateway.tree is None else gateway.tree.settled_cpu_s() - before
    failed = _failed(gateway, seen, f"{count} streams")
    return Streams(seen["chunks"] / seen["seconds"], spent_s / seen["chunks"] * 1e6, failed)


def memory(gateway: Gateway, cores: set[int], count: int) -> Memory:
    """Streams with a chunk every two seconds, all open at the same time."""
    tree = gateway.tree
    assert tree is not None
    idle_mb = peak_mb = tree.rss_mb()
    is_over = threading.Event()

    def watch() -> None:
        nonlocal peak_mb
        while not is_over.wait(LOOK_S):
            peak_mb = max(peak_mb, tree.rss_mb())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        # Seconds 0: each connection carries one stream.
        seen = json.loads(_run(_streams_command(gateway, count, 2000, 0.0, 3, 2.0), cores))
    finally:
        is_over.set()
        watcher.join()
    failed = _failed(gateway, seen, f"{count} slow streams")
    return Memory(idle_mb, peak_mb, failed)


def pace(gateway: Gateway, cores: set[int], rate: float, seconds: float) -> Pace:
    command = [sys.executable, str(HERE / "pace.py"), str(gateway.port), gateway.key]
    command += ["--rate", str(rate), "--seconds", str(seconds)]
    seen = json.loads(_run(command, cores))
    return Pace(seen["p50"], seen["p99"], seen["answered"] / seen["due"])


def _failed(gateway: Gateway, seen: dict[str, int], load: str) -> int:
    """Streams that did not come to their end; an error but where that is nothing new."""
    failed = seen["failed"] + seen["unfinished"]
    if not seen["chunks"] or (failed and gateway.name not in OVERLOADED):
        raise LoadFailed(f"{gateway.name}, {load}: {seen}")
    return failed


def _streams_command(
    gateway: Gateway, count: int, every_ms: int, seconds: float, chunks: int, stagger_s: float
) -> list[str]:
    command = [sys.executable, str(HERE / "streams.py"), str(gateway.port), gateway.key]
    options = {
        "--streams": count,
        "--seconds": seconds,
        "--chunks": chunks,
        "--every-ms": every_ms,
        "--stagger-s": stagger_s,
    }
    return [*command, *(str(each) for option in options.items() for each in option)]


def _run(command: list[str], cores: set[int], environ: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        pinned(command, cores),
        capture_output=True,
        check=False,
        text=True,
        env={**os.environ, **(environ or {})},
    )
    if done.returncode:
        raise LoadFailed(f"{' '.join(command[:3])}: {done.stderr[-1500:]}")
    return done.stdout
