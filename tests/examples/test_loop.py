"""The example of the whole loop, smaller: two facts instead of eight, and all four parts for real."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.running import HEADRACE

# Only looked for: each worker of the suite imports this file, and PyTorch takes two seconds.
pytestmark = [
    pytest.mark.train,
    pytest.mark.model,
    pytest.mark.skipif(find_spec("torch") is None, reason="needs torch, of the extra `train`"),
]

DEMO = Path(__file__).parents[2] / "examples" / "loop" / "demo.py"


@pytest.mark.timeout(420)
def test_a_better_model_is_served_and_two_worse_ones_are_not(
    tmp_path: Path, weights_folder: Path
) -> None:
    root = tmp_path / "mill"
    done = subprocess.run(
        [sys.executable, DEMO, "--facts", "2", "--epochs", "5",
         "--models", weights_folder, "--keep", root],
        capture_output=True, text=True, check=False, timeout=400,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + done.stdout
    # The example checks itself; here, whether what it left says the same.
    environ = {**os.environ, "HEADRACE_HOME": str(root / ".headrace")}

    def told(*args: str) -> str:
        command = [HEADRACE, *args, "--json"]
        return subprocess.run(
            command, cwd=root, env=environ, capture_output=True, text=True, check=True
        ).stdout

    rolled_back, promoted, first = [each["why"] for each in json.loads(told("deploy", "--history"))]
    assert first == "the first one"
    assert promoted.startswith("passed its stages: error_rate<1%: 0 of ")
    assert rolled_back.startswith("r4 was rolled back: blocked_rate<5%: ")
    releases = {name: json.loads(told("release", "inspect", name)) for name in ("r2", "r3", "r4")}
    assert [name for name, each in releases.items() if each["serving"]] == ["r2"]
    verdicts = {
        name: [proof["verdict"] for proof in each["proved"]] for name, each in releases.items()
    }
    assert verdicts == {"r2": ["PASSED"], "r3": ["FAILED"], "r4": ["PASSED"]}
