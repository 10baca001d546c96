"""Records that the database would never take are kept for a person to look at."""

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headrace.storage import reject
from headrace.storage.journal import Record
from headrace.storage.reject import RejectFile, read_rejects

records = st.builds(Record, st.text(max_size=20), st.binary(max_size=200))


@settings(deadline=None, max_examples=50)
@given(kept=st.lists(records, max_size=8))
def test_what_was_kept_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, kept: list[Record]
) -> None:
    path = tmp_path_factory.mktemp("rejects") / "journal.rejected"
    for record in kept:
        RejectFile(path).keep(record)
    assert read_rejects(path) == kept


def test_no_file_means_no_rejects(tmp_path: Path) -> None:
    assert read_rejects(tmp_path / "journal.rejected") == []


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    RejectFile(tmp_path / "rejected").keep(Record("kind", b"x"))
    assert (tmp_path / "rejected").stat().st_mode & 0o777 == 0o600


def test_a_full_file_takes_no_more_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(reject, "LIMIT_BYTES", 100)
    file = RejectFile(tmp_path / "rejected")
    file.keep(Record("kind", b"first"))
    file.keep(Record("kind", bytes(100)))
    assert read_rejects(tmp_path / "rejected") == [Record("kind", b"first")]
    assert "is full: a kind record is lost" in caplog.text


def test_an_unfinished_line_hides_no_other(tmp_path: Path) -> None:
    path = tmp_path / "rejected"
    RejectFile(path).keep(Record("kind", b"first"))
    path.write_bytes(path.read_bytes() + b'{"kind":"ki\n')
    RejectFile(path).keep(Record("kind", b"second"))
    assert read_rejects(path) == [Record("kind", b"first"), Record("kind", b"second")]


def test_a_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    script = f"""
import resource
from pathlib import Path
from headrace.storage.journal import Record
from headrace.storage.reject import RejectFile
file = RejectFile(Path({str(tmp_path)!r}) / "rejected")
file.keep(Record("kind", b"first"))
resource.setrlimit(resource.RLIMIT_FSIZE, (200, resource.RLIM_INFINITY))
file.keep(Record("kind", bytes(500)))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
file.keep(Record("kind", b"second"))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert "a kind record is lost" in done.stderr
    kept = (tmp_path / "rejected").read_bytes()
    assert len(kept.splitlines()) == 2
    assert read_rejects(tmp_path / "rejected") == [
        Record("kind", b"first"),
        Record("kind", b"second"),
    ]


def test_a_file_that_cannot_be_written_is_said_and_survived(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    RejectFile(tmp_path / "no" / "folder").keep(Record("kind", b"x"))
    assert "a kind record is lost" in caplog.text
