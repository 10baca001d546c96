"""The example of an operation of one's own, installed as a user installs it, and run."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import HEADRACE

EXAMPLE = Path(__file__).parents[2] / "examples" / "workflows"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the example; building must not leave anything in the repository."""
    source = tmp_path_factory.mktemp("source") / "workflows"
    shutil.copytree(EXAMPLE, source)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "--no-deps", "--target", str(source / "site"), str(source)], check=True, timeout=90
    )
    return source


def headrace(folder: Path, *args: str) -> dict[str, object]:
    done = subprocess.run(
        [HEADRACE, "workflow", *args, "--json"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": str(folder / "site")},
    )
    assert done.returncode == 0, done.stderr + done.stdout
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_the_installed_operation_counts_and_is_not_asked_twice(folder: Path) -> None:
    first = headrace(folder, "run", "report")
    steps = {each["step"]: each for each in first["steps"]}  # type: ignore[attr-defined]
    assert steps["count[text=mill]"]["values"] == {"words": 12, "top": ["the", "mill"]}
    assert steps["count[text=river]"]["values"] == {"words": 14, "top": ["runs", "a"]}
    assert steps["long"]["artifacts"]["line"]["name"] == "report.txt"
    again = headrace(folder, "run", "report")
    assert {each["status"] for each in again["steps"]} == {"unchanged"}  # type: ignore[attr-defined]
