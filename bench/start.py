"""How soon Headrace is there: a second start, `import headrace`, `headrace --help`.

    python bench/start.py [--rounds 7] [--json]

Each is a process of its own, timed from outside, beside the least that could be, in the same run and
in turn, so that the machine's moods fall on both alike:

    headrace up        until it says that it answers, on a home that has run before; beside the bare
                       runtime loading the same weights for as many sequences, and nothing else
    import headrace    beside `python -c pass`, as is
    headrace --help    the command as it is installed

Printed: medians, the ratio and the difference to the bare limit round by round, and what was aimed
at. The files are in the system's cache (one round is thrown away): that is what a second start is.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from headrace.config.load import load_service
from headrace.models.store import ModelStore

ROOT = Path(__file__).parent.parent
CACHE = ROOT / ".cache" / "headrace" / "models"
HEADRACE = str(Path(sys.executable).with_name("headrace"))

BARE_RUNTIME = """\
import os, sys, xllamacpp
params = xllamacpp.CommonParams()
params.model.path, params.hostnames = sys.argv[1], [sys.argv[2]]
params.n_ctx, params.n_parallel = int(sys.argv[3]) * int(sys.argv[4]), int(sys.argv[4])
params.fit_params, params.ui, params.verbosity = False, False, 1
server = xllamacpp.Server(params)
os.write(1, b"ready\\n")
sys.stdin.buffer.read()
os._exit(0)
"""


@dataclass
class Case:
    """Something that starts, and the least that could."""

    name: str
    bare: str
    aim_s: float
    start: Callable[[], float]
    start_bare: Callable[[], float]
    times: list[float] = field(default_factory=list)
    bare_times: list[float] = field(default_factory=list)

    def measure(self) -> None:
        self.bare_times.append(self.start_bare())
        self.times.append(self.start())

    def report(self) -> dict[str, object]:
        pairs = list(zip(self.times, self.bare_times, strict=True))
        row: dict[str, object] = {
            "median_s": statistics.median(self.times),
            "bare": self.bare,
            "bare_s": statistics.median(self.bare_times),
            "ratio": statistics.median(ours / bare for ours, bare in pairs),
            "added_s": statistics.median(ours - bare for ours, bare in pairs),
            "aim_s": self.aim_s,
        }
        print(
            f"{self.name:<17}{ms(row['median_s'])}{ms(row['bare_s'])}{row['ratio']:>8.2f}"
            f"{ms(row['added_s'])}{ms(self.aim_s)}   {self.bare}"
        )
        return row


def ms(seconds: object) -> str:
    assert isinstance(seconds, float)
    return f"{seconds * 1e3:>10.0f}"


def seconds_of(command: Sequence[str]) -> float:
    """Until the process has ended."""
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def seconds_until_it_speaks(command: Sequence[str], folder: Path, home: Path) -> float:
    """Until the process has printed its first line; then it is stopped."""
    began = time.perf_counter()
    with subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "HEADRACE_HOME": str(home)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        took = time.perf_counter() - began
        process.terminate()
    assert line, f"{command[0]} ended without a word"
    return took


def cases(folder: Path) -> list[Case]:
    home = folder / "home"
    home.mkdir(mode=0o700)
    CACHE.mkdir(parents=True, exist_ok=True)
    (home / "models").symlink_to(CACHE)
    weights, context_tokens, parallel = built_in_model()
    up = [HEADRACE, "up", "--port", "0", "--json"]
    socket = folder / "bare.sock"
    bare = [sys.executable, "-c", BARE_RUNTIME, weights, str(socket), context_tokens, parallel]
    python = [sys.executable, "-c", "pass"]

    def start_bare() -> float:
        socket.unlink(missing_ok=True)  # the last one's, who was stopped
        return seconds_until_it_speaks(bare, folder, home)

    return [
        Case(
            "headrace up",
            "the runtime alone, same weights",
            3.0,
            lambda: seconds_until_it_speaks(up, folder, home),
            start_bare,
        ),
        Case(
            "import headrace",
            "python -c pass",
            0.15,
            lambda: seconds_of([sys.executable, "-c", "import headrace"]),
            lambda: seconds_of(python),
        ),
        Case(
            "headrace --help",
            "python -c pass",
            0.3,
            lambda: seconds_of([HEADRACE, "--help"]),
            lambda: seconds_of(python),
        ),
    ]


def built_in_model() -> tuple[str, str, str]:
    """Weights (fetched if need be), context per sequence, and sequences of the built-in assistant."""
    (model,) = load_service(Path("/nonexistent"), os.environ).models.values()
    settings = model.deployments[0].settings.value
    assert isinstance(settings, dict)
    kept = ModelStore(CACHE, root=ROOT).fetch(str(settings["weights"]), str(settings["sha256"]))
    return str(kept.path), str(settings["context_tokens"]), str(settings["parallel"])


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true", help="print a JSON object at the end")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        measured = cases(Path(folder))
        for number in range(options.rounds + 1):
            for case in measured:
                case.measure()
            if number == 0:
                for case in measured:
                    case.times.clear()
                    case.bare_times.clear()
        print(
            f"{'ms, medians':<17}{'headrace':>10}{'bare':>10}{'ratio':>8}{'added':>10}{'aim':>10}   bare is"
        )
        results = {case.name: case.report() for case in measured}
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
