"""Faults as they happen: a killed process, a full disk. What was accepted is never lost."""

import json
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.privacy.vault import Vault
from headrace.storage.database import Database
from headrace.storage.writer import BatchWriter
from headrace.telemetry.store import TraceStore, trace_handlers

PROGRAMS = Path(__file__).parent / "programs"


def record_until_killed(home: Path, after: int) -> list[str]:
    """Trace ids that a process had accepted when `kill -9` ended it, some time after `after`."""
    process = subprocess.Popen(
        [sys.executable, str(PROGRAMS / "record_forever.py"), str(home)], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    accepted = [process.stdout.readline() for _ in range(after)]
    process.send_signal(signal.SIGKILL)
    accepted.extend(process.stdout)
    process.stdout.close()
    assert process.wait(timeout=30) == -signal.SIGKILL
    return [line.decode().strip() for line in accepted if line.endswith(b"\n")]


async def test_a_killed_service_loses_no_trace_that_it_had_accepted(tmp_path: Path) -> None:
    accepted: list[str] = []
    # Killed before its first batch, amid some, and amid many; each on what the last one left.
    for after in (1, 50, 700):
        accepted.extend(record_until_killed(tmp_path, after))
    assert len(accepted) == len(set(accepted)) >= 751

    database = Database.open(tmp_path / "state.db")
    vault = Vault.open(database, tmp_path)
    writer = BatchWriter(database, tmp_path / "journal", trace_handlers())
    writer.start()
    await writer.flush()
    store = TraceStore(database, vault)
    stored = {trace.id: trace for trace in store.list(limit=10**6)}
    assert set(accepted) - stored.keys() == set()
    assert {trace.status for trace in stored.values()} == {"ok"}
    for trace_id in (accepted[0], accepted[-1]):
        assert store.get(trace_id).output.startswith("an answer ")
    # At most one turn of each process was on its way.
    assert 0 <= store.close_unfinished("this test") <= 3
    with database.read() as connection:
        assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
    assert (writer.damaged, writer.rejected) == (0, 0)
    writer.close()
    database.close()


def can_mount() -> bool:
    """Whether this user may mount a small file system in a namespace of their own."""
    try:
        done = subprocess.run(
            ["unshare", "-rm", "sh", "-c", "mount -t tmpfs -o size=1m none /mnt"],
            capture_output=True,
            check=False,
            timeout=30,
        )
    except OSError:
        return False
    return done.returncode == 0


def on_small_disk(home: Path, command: list[str]) -> list[str]:
    """The command, run where `home` is a disk of 8 MB."""
    mount = f"mount -t tmpfs -o size=8m none {shlex.quote(str(home))}"
    return ["unshare", "-rm", "sh", "-c", f"{mount} && exec {shlex.join(command)}"]


@pytest.mark.parametrize("how", ["ballast", "limit"])
def test_turns_go_on_while_the_disk_is_full(tmp_path: Path, how: str) -> None:
    program = PROGRAMS / "record_on_a_full_disk.py"
    command = [sys.executable, str(program), str(tmp_path), how]
    if how == "ballast":
        if not can_mount():
            pytest.skip("no small file system can be mounted here; the other variant stands in")
        command = on_small_disk(tmp_path, command)
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=90)
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)

    assert result["lost"] == 0
    assert result["last is readable"]
    assert result["rejected"] == 0
    assert result["integrity"] == "ok"
    assert result["accepted"] > 50
    assert result["shed"] >= 10
    assert result["scraped"] == result["shed"]
    assert result["pending while full"] > 0
    assert not result["healthy while full"]
    assert result["healthy after"]
    said = "\n".join(result["said"])
    for words in (
        "the database cannot be written",
        "records wait in the journal",
        "shedding records until there is room",
        "the database can be written again",
        f"the journal has room again; {result['shed']} records were shed so far",
    ):
        assert said.count(words) == 1, said


def test_a_service_that_starts_on_a_full_disk_says_so(tmp_path: Path) -> None:
    script = f"""
import resource
from pathlib import Path
from headrace.storage.errors import StateUnusable
from headrace.storage.database import Database
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    Database.open(Path({str(tmp_path)!r}) / "state.db")
except StateUnusable as error:
    print(error, "|", error.hint)
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert "cannot be used" in done.stdout
    assert "free space" in done.stdout
