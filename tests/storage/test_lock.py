"""One service per home."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from headrace.storage.errors import HomeInUse
from headrace.storage.lock import HomeLock


def test_a_second_service_is_told_who_holds_the_home(tmp_path: Path) -> None:
    lock = HomeLock.acquire(tmp_path / "journal.lock")
    with pytest.raises(HomeInUse, match=f"pid {os.getpid()}"):
        HomeLock.acquire(tmp_path / "journal.lock")
    lock.release()
    HomeLock.acquire(tmp_path / "journal.lock").release()


def test_releasing_twice_does_nothing(tmp_path: Path) -> None:
    lock = HomeLock.acquire(tmp_path / "journal.lock")
    lock.release()
    other = HomeLock.acquire(tmp_path / "journal.lock")
    lock.release()
    with pytest.raises(HomeInUse):
        HomeLock.acquire(tmp_path / "journal.lock")
    other.release()


def test_a_killed_holder_holds_nothing(tmp_path: Path) -> None:
    script = f"""
import os, signal
from pathlib import Path
from headrace.storage.lock import HomeLock
HomeLock.acquire(Path({str(tmp_path / "journal.lock")!r}))
os.kill(os.getpid(), signal.SIGKILL)
"""
    subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    HomeLock.acquire(tmp_path / "journal.lock").release()
