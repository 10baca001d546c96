"""Workflows beside a running service: begun by what happens, and again after `kill -9`."""

import os
import signal
import subprocess
from pathlib import Path

import pytest

from headrace.storage.database import Database
from headrace.workflows.store import RunStore
from tests.running import ServiceProcess, wait_for

pytestmark = [pytest.mark.service, pytest.mark.model]

WORKFLOW = """\
triggers: [{new_data: mill}]
steps:
  slow: {operation: run, parameters: {command: [sh, -c, "echo $$ >> pids; while ! test -e go; do sleep 0.1; done"]}}
  then: {operation: tally, needs: [slow]}
"""  # fmt: skip


def test_new_data_makes_a_run_that_outlives_the_process_it_runs_in(
    operations: Path, tmp_path: Path, model_home: Path
) -> None:
    del operations
    root = tmp_path / "service"
    (root / "workflows").mkdir(parents=True)
    (root / "workflows" / "w.yaml").write_text(WORKFLOW)
    service = ServiceProcess.start(root, model_home)
    try:
        wait_for(lambda: workers(service))
        (root / "rows.jsonl").write_text('{"prompt": "a", "completion": "b"}\n')
        database = Database.open(model_home / "state.db")
        store = RunStore(database)
        wait_for(lambda: store.last_moment("w", "new_data mill") == "mill@0")
        database.close()
        service.run("data", "add", "mill", "rows.jsonl")
        pids = root / "pids"
        wait_for(lambda: pids.exists() and pids.read_text().strip())
        [first] = workers(service)
        os.kill(first, signal.SIGKILL)
        wait_for(lambda: len(pids.read_text().split()) == 2)
        # What the killed process had started has died with it.
        command = int(pids.read_text().split()[0])
        wait_for(lambda: not Path(f"/proc/{command}").exists())
        (root / "go").touch()
        wait_for(lambda: run_of(service)["status"] == "succeeded")
        assert str(run_of(service)["trigger"]).startswith("new_data mill")
        assert (root / "began.log").read_text() == "then\n"
    finally:
        service.stop()
    assert not workers(service)


def run_of(service: ServiceProcess) -> dict[str, object]:
    [found] = service.told("workflow", "list", "--runs")
    assert isinstance(found, dict)
    return found


def workers(service: ServiceProcess) -> list[int]:
    found = subprocess.run(
        ["pgrep", "-P", str(service.process.pid), "-f", "headrace.workflows.worker"],
        capture_output=True,
        text=True,
        check=False,
    )
    return [int(line) for line in found.stdout.split()]
