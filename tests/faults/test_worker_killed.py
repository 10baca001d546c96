"""One of several workers is killed under load: the others go on, and it is soon replaced."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.faults.conftest import IDLE, config_of
from tests.faults.kept import Kept
from tests.faults.load import Load, counted
from tests.faults.server import upstreams
from tests.faults.upstream import Fault
from tests.running import ServiceProcess, wait_for

WORKERS = 2


def workers(service: ServiceProcess) -> list[int]:
    """Process ids of those that answer."""
    found = subprocess.run(
        ["pgrep", "-P", str(service.process.pid)], capture_output=True, text=True, check=False
    )
    return [int(line) for line in found.stdout.split()]


def test_only_what_ran_at_a_killed_worker_is_cut(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with upstreams(tmp_path, 2) as servers:
        for each in servers:
            each.tell(Fault(mode="slow_stream", seconds=0.03))
        (tmp_path / "headrace.yaml").write_text(config_of([each.url for each in servers], IDLE))
        args = ("--workers", str(WORKERS))
        service = ServiceProcess.start(tmp_path, tmp_path / "home", args=args)
        kills: list[float] = []
        try:
            with Load(service.url, service.key, 60, name="worker ") as load:
                for victim in workers(service):
                    reached = len(load.said) + 60
                    wait_for(lambda reached=reached: len(load.said) >= reached)  # type: ignore[misc]
                    kills.append(time.monotonic())
                    os.kill(victim, signal.SIGKILL)
                    said = len(kills)
                    wait_for(lambda said=said: service.said().count("answers again") >= said)  # type: ignore[misc]
            assert len(workers(service)) == WORKERS
            assert service.stop() == 0
        finally:
            if service.process.poll() is None:
                service.kill()
    with capsys.disabled():
        print(f"\nboth workers killed in turn: {counted(load.said)}")
    assert {each.kind for each in load.said} <= {"ok", "broken", "unanswered"}
    cut = [each for each in load.said if each.kind != "ok"]
    assert cut, "nothing ran at either of them"
    # What came later went to the other one, or to the one that replaced it. (A killed process may
    # finish its time slice.)
    late = [
        (each, [at - each.started_at for at in kills])
        for each in cut
        if not any(each.started_at - 0.05 <= at <= each.ended_at + 0.05 for at in kills)
    ]
    assert not late
    kept = Kept(service.home)
    assert not kept.holds([each.trace for each in load.said if each.trace])
    assert not kept.unfinished()
    assert kept.is_whole()
