"""Folders for sockets: left by killed processes, removed by the next one, and never by mistake."""

import subprocess
import sys
from pathlib import Path

import pytest

from headrace.storage.socket_folder import SocketFolder

PROGRAM = """
import os, signal
from headrace.storage.socket_folder import SocketFolder
folder = SocketFolder()
(folder.path / "model.sock").touch()
print(folder.path, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def parent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


def test_a_folder_is_private_and_leaves_nothing(parent: Path) -> None:
    folder = SocketFolder()
    assert folder.path.parent == parent
    assert folder.path.stat().st_mode & 0o777 == 0o700
    folder.remove()
    folder.remove()
    assert list(parent.iterdir()) == []


def test_the_folder_of_a_killed_process_is_removed_by_the_next(parent: Path) -> None:
    killed = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False
    )
    left = Path(killed.stdout.strip())
    assert left.parent == parent
    assert left.is_dir()
    SocketFolder().remove()
    assert not left.exists()


def test_the_folder_of_a_living_process_stays(parent: Path) -> None:
    living = SocketFolder()
    SocketFolder().remove()
    assert living.path.is_dir()
    living.remove()


def test_what_others_named_alike_stays(parent: Path) -> None:
    elsewhere = parent / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "lock").touch()
    (parent / "headrace-link").symlink_to(elsewhere)
    (parent / "headrace-file").touch()
    (parent / "headrace-notes").mkdir()
    SocketFolder().remove()
    assert {each.name for each in parent.iterdir()} == {
        "elsewhere",
        "headrace-link",
        "headrace-file",
        "headrace-notes",
    }
    assert [each.name for each in elsewhere.iterdir()] == ["lock"]
