"""A service under steady load while its deployments fall ill at random: what is left at the end.

    python -m bench.soak [--seconds 600] [--rate 60] [--deployments 3] [--seed 1] [--json]

Real processes throughout: `headrace up`, the deployments (tests/faults/upstream.py), and clients
that stream half of their requests and hang up on some. At any time one deployment is well; each of
the others is well for a while, then ill in one of the ways below, and so on. Now and then the
configuration is edited. Printed: what each fault did, and what must hold at the end:

    errors       nobody lost an answer: only streams that had begun broke off
    traces       every request that a client saw has exactly one trace
    connections  the service has as many sockets as before the first request
    files        and no more open files besides
    memory       resident memory after the load, against when it was warm
    calls        no deployment, no turn is thought to be busy
    database     SQLite finds it whole

Exits with 1 if one does not hold. Not covered: machines that lose power, full disks, slow networks.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random

from tests.faults.conftest import IDLE, config_of
from tests.faults.kept import Kept
from tests.faults.load import Load, Said
from tests.faults.server import Upstream, upstreams
from tests.faults.upstream import Fault
from tests.running import ServiceProcess

ILL_S = (0.5, 4.0)
WELL_S = (0.5, 4.0)
EDIT_EVERY_S = 15.0
WARM_SHARE = 0.1
WARM_LEAST_S = 5.0
QUIET_WITHIN_S = 30.0
GROWTH_MB = 32.0
"""10 minutes at 60 requests a second grow by less than a third of it: see docs/faults.md."""
SPARE_FILES = 8
"""Connections to SQLite that threads open when they first need one."""
BREAKING = ("killed", "frozen", "resets in mid-answer")
"""Only these may break off streams that have begun."""

Do = Callable[[Upstream], None]
FAULTS: dict[str, tuple[Do, Do]] = {
    "killed": (Upstream.kill, Upstream.start),
    "frozen": (Upstream.freeze, Upstream.thaw),
}
TOLD = {
    "resets before answering": Fault(mode="reset_first"),
    "resets in mid-answer": Fault(mode="reset_mid"),
    "resets half of its answers": Fault(mode="reset_first", share=0.5),
    "sends garbage": Fault(mode="garbage"),
    "does not speak HTTP": Fault(mode="not_http"),
    "answers 500": Fault(mode="error_500"),
    "answers 429, come back in 1 s": Fault(mode="throttled", retry_after_s=1),
    "answers 429": Fault(mode="throttled"),
    "begins late": Fault(mode="slow", seconds=0.5),
    "goes on slowly": Fault(mode="slow_stream", seconds=0.2),
    "closes idle connections": Fault(mode="closes_idle"),
}


def _telling(fault: Fault) -> tuple[Do, Do]:
    return (lambda each: each.tell(fault), lambda each: each.tell(Fault()))


FAULTS |= {name: _telling(fault) for name, fault in TOLD.items()}


@dataclass(slots=True)
class Spell:
    """One deployment's illness."""

    fault: str
    upstream: int
    began_at: float
    ended_at: float = 0.0


@dataclass(slots=True)
class Row:
    """What one fault did, all of its spells together."""

    fault: str
    spells: int = 0
    seconds: float = 0.0
    sent_there: int = 0
    """Requests that reached the deployment while it was ill."""
    share: float = 0.0
    """Of all requests of that time; a third would be its due."""
    broken: int = 0
    """Streams that had begun and broke off meanwhile, for whatever reason."""


@dataclass(slots=True)
class Check:
    """One thing that must hold."""

    name: str
    holds: bool
    found: str


@dataclass(slots=True)
class Report:
    """All that a soak has found."""

    seconds: float
    requests: int
    kinds: dict[str, int]
    slowest_s: float
    rows: list[Row] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return all(check.holds for check in self.checks)


class Trouble:
    """Makes deployments ill, from a thread of its own, but never the last that is well."""

    def __init__(self, servers: list[Upstream], edit: Callable[[int], None], seed: int) -> None:
        self.spells: list[Spell] = []
        self.edits = 0
        self._servers = servers
        self._edit = edit
        self._random = Random(seed)
        self._stopping = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, name="trouble", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Heal all, and wait for it. Raises what went wrong in the thread."""
        self._stopping.set()
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _work(self) -> None:
        try:
            self._run()
        except BaseException as error:  # noqa: BLE001 - raised again by `stop`
            self._failure = error

    def _run(self) -> None:
        now = time.monotonic()
        ill: dict[int, Spell] = {}
        due = {position: now + self._between(WELL_S) for position in range(len(self._servers))}
        edit_at = now + EDIT_EVERY_S
        names = self._names()
        while not self._stopping.wait(0.02):
            now = time.monotonic()
            if now >= edit_at:
                self.edits += 1
                self._edit(self.edits)
                edit_at = now + EDIT_EVERY_S
            for position in [each for each, at in due.items() if at <= now]:
                if position in ill:
                    self._heal(ill.pop(position))
                    due[position] = now + self._between(WELL_S)
                elif len(ill) < len(self._servers) - 1:
                    ill[position] = self._harm(position, next(names))
                    due[position] = now + self._between(ILL_S)
        for spell in ill.values():
            self._heal(spell)

    def _names(self) -> "_Names":
        return _Names(self._random)

    def _between(self, bounds: tuple[float, float]) -> float:
        return self._random.uniform(*bounds)

    def _harm(self, position: int, name: str) -> Spell:
        spell = Spell(name, position, time.monotonic())
        FAULTS[name][0](self._servers[position])
        self.spells.append(spell)
        return spell

    def _heal(self, spell: Spell) -> None:
        spell.ended_at = time.monotonic()
        FAULTS[spell.fault][1](self._servers[spell.upstream])


class _Names:
    """Every fault in random order, then again: so that a short soak leaves out as few as it can."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._left: list[str] = []

    def __next__(self) -> str:
        if not self._left:
            self._left = list(FAULTS)
            self._random.shuffle(self._left)
        return self._left.pop()


class Process:
    """What the kernel says of the service."""

    def __init__(self, pid: int) -> None:
        self._proc = Path(f"/proc/{pid}")

    def files(self) -> tuple[int, int]:
        """Open sockets, and all other open files."""
        targets: list[str] = []
        for each in (self._proc / "fd").iterdir():
            try:
                targets.append(str(each.readlink()))
            except FileNotFoundError:
                continue  # closed since it was listed
        sockets = sum(target.startswith("socket:") for target in targets)
        return sockets, len(targets) - sockets

    def resident_mb(self) -> float:
        """Resident memory that belongs to it alone: no pages of files, such as the journal's."""
        status = (self._proc / "status").read_text()
        line = next(line for line in status.splitlines() if line.startswith("RssAnon"))
        return int(line.split()[1]) / 1024


def soak(
    folder: Path, *, seconds: float, per_s: float = 60.0, deployments: int = 3, seed: int = 1
) -> Report:
    """Run it, in an empty folder."""
    with upstreams(folder, deployments) as servers:
        urls = [each.url for each in servers]
        file = folder / "headrace.yaml"
        file.write_text(config_of(urls, IDLE))

        def edit(count: int) -> None:
            """Bound what each takes, or leave it open again; once in a while forget all."""
            more = f"{IDLE}, capacity: {20 + count}" if count % 2 else IDLE
            file.write_text(
                config_of(urls, more, balance="{affinity: false}" if count % 3 else "{}")
            )

        service = ServiceProcess.start(folder, folder / "home")
        try:
            return _soak(service, Trouble(servers, edit, seed), servers, seconds, per_s)
        finally:
            if service.process.poll() is None:
                service.kill()


def _soak(
    service: ServiceProcess,
    trouble: Trouble,
    servers: list[Upstream],
    seconds: float,
    per_s: float,
) -> Report:
    process = Process(service.process.pid)
    before = process.files()
    load = Load(service.url, service.key, per_s, name="soak ", leaves=0.1)
    began = time.monotonic()
    with load:
        time.sleep(max(WARM_LEAST_S, seconds * WARM_SHARE))
        warm_mb = process.resident_mb()
        trouble.start()
        time.sleep(max(0.0, began + seconds - time.monotonic()))
        trouble.stop()
    report = Report(
        seconds=time.monotonic() - began,
        requests=len(load.said),
        kinds=dict(Counter(each.kind for each in load.said).most_common()),
        slowest_s=max(each.seconds for each in load.said),
        rows=_rows(trouble.spells, servers, load),
    )
    after = _quiet(process, before)
    report.checks = [
        _errors(load.said, trouble.spells),
        Check("connections", after[0] <= before[0], f"{before[0]} before, {after[0]} after"),
        Check(
            "files", after[1] <= before[1] + SPARE_FILES, f"{before[1]} before, {after[1]} after"
        ),
        _memory(warm_mb, process.resident_mb()),
        _calls(service),
    ]
    code = service.stop()
    kept = Kept(service.home)
    wrong = kept.holds([each.trace for each in load.said if each.trace])
    count = len(kept.statuses())
    report.checks += [
        Check("traces", not wrong and not kept.unfinished(), wrong or f"{count}, each once"),
        Check("database", kept.is_whole() and code == 0, f"whole; the service ended with {code}"),
        Check("edits", service.said().count("in use now") >= trouble.edits, f"{trouble.edits}"),
    ]
    return report


def _quiet(process: Process, before: tuple[int, int]) -> tuple[int, int]:
    """Open files once idle connections have been given up."""
    until = time.monotonic() + QUIET_WITHIN_S
    while (now := process.files())[0] > before[0] and time.monotonic() < until:
        time.sleep(0.1)
    return now


def _errors(said: list[Said], spells: list[Spell]) -> Check:
    """Streams may break off only where one of them could have been at a server that broke them."""
    broken = [each for each in said if each.kind == "broken"]
    excuses = [(each.began_at, each.ended_at) for each in spells if each.fault in BREAKING]
    lost = [each for each in said if each.kind not in ("ok", "left", "broken")]
    lost += [
        each
        for each in broken
        if not any(each.started_at <= end and begin <= each.ended_at for begin, end in excuses)
    ]
    found = f"{len(lost)} lost, {len(broken)} streams broke off"
    if lost:
        found += f"; first lost: {lost[0].kind} {lost[0].status} {lost[0].detail}"
    return Check("errors", not lost, found)


def _memory(warm_mb: float, end_mb: float) -> Check:
    return Check(
        "memory",
        end_mb - warm_mb <= GROWTH_MB,
        f"{warm_mb:.1f} MB warm, {end_mb:.1f} MB at the end",
    )


def _calls(service: ServiceProcess) -> Check:
    """Whether all that was taken has been given back."""
    with service.client() as client:
        lines = client.get("/metrics").text.splitlines()
    counts = ("headrace_deployment_calls", "headrace_turns_active", "headrace_model_waiting_calls")
    busy = [
        line for line in lines if line.startswith(counts) and float(line.rpartition(" ")[2]) != 0
    ]
    return Check("calls", not busy, "; ".join(busy) or "none left")


def _rows(spells: list[Spell], servers: list[Upstream], load: Load) -> list[Row]:
    rows: dict[str, Row] = {name: Row(name) for name in FAULTS}
    due: defaultdict[str, int] = defaultdict(int)
    logged = [{each.question for each in server.logged()} for server in servers]
    for spell in spells:
        row = rows[spell.fault]
        row.spells += 1
        row.seconds += spell.ended_at - spell.began_at
        meanwhile = load.since(spell.began_at, spell.ended_at)
        row.sent_there += sum(each.question in logged[spell.upstream] for each in meanwhile)
        row.broken += sum(each.kind == "broken" for each in meanwhile)
        due[spell.fault] += len(meanwhile)
    for row in rows.values():
        row.share = row.sent_there / due[row.fault] if due[row.fault] else 0.0
    return list(rows.values())


def show(report: Report) -> None:
    """Print it."""
    kinds = ", ".join(f"{kind} {count}" for kind, count in report.kinds.items())
    print(f"{report.requests} requests in {report.seconds:.0f} s: {kinds}")
    print(f"slowest {report.slowest_s:.1f} s\n")
    print(f"{'fault':32}{'spells':>7}{'seconds':>9}{'sent there':>12}{'share':>8}{'broken':>8}")
    for row in report.rows:
        print(
            f"{row.fault:32}{row.spells:7}{row.seconds:9.1f}{row.sent_there:12}"
            f"{row.share:8.1%}{row.broken:8}"
        )
    print()
    for check in report.checks:
        print(f"{'ok  ' if check.holds else 'FAIL'} {check.name}: {check.found}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Steady load, random faults.")
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--rate", type=float, default=60.0, help="requests a second")
    parser.add_argument("--deployments", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headrace-soak-") as folder:
        report = soak(
            Path(folder),
            seconds=options.seconds,
            per_s=options.rate,
            deployments=options.deployments,
            seed=options.seed,
        )
    if options.json:
        print(json.dumps({**asdict(report), "holds": report.holds}, indent=2))
    else:
        show(report)
    sys.exit(0 if report.holds else 1)


if __name__ == "__main__":
    main()
