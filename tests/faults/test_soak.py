"""Half a minute of random faults leaves nothing behind (`python -m bench.soak` runs for ten)."""

from pathlib import Path

import pytest
from bench.soak import show, soak


@pytest.mark.soak
def test_random_faults_leave_nothing_behind(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = soak(tmp_path, seconds=25.0)
    with capsys.disabled():
        print()
        show(report)
    assert report.holds, [check for check in report.checks if not check.holds]
