"""The example of a suite, on the real model."""

import json
import os
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from tests.running import HEADRACE

pytestmark = pytest.mark.model

EXAMPLE = Path(__file__).parents[2] / "examples" / "evaluation"


def test_the_suite_passes_its_gate_and_is_reported(tmp_path: Path, weights_folder: Path) -> None:
    root = tmp_path / "evaluation"
    shutil.copytree(EXAMPLE, root)
    home = root / ".headrace"
    home.mkdir(mode=0o700)
    (home / "models").symlink_to(weights_folder)
    done = subprocess.run(
        [HEADRACE, "eval", "run", "evals/capitals.yaml", "--json", "--junit", "r.xml", "--html",
         "r.html", "--inspect", "."],
        cwd=root, env={**os.environ, "HEADRACE_HOME": str(home)}, capture_output=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    report = json.loads(done.stdout)["report"]
    means = {
        each["scorer"]: each["estimate"]["mean"] for each in report["lines"] if not each["tag"]
    }
    assert set(means) == {"contains", "rouge_l", "latency", "safe", "brief"}
    assert means["contains"] >= 0.5
    suite = ET.parse(root / "r.xml").find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures")) == ("21", "0")
    (log,) = root.glob("20*_capitals_*.json")
    samples = json.loads(log.read_bytes())["samples"]
    assert [len(each["messages"]) for each in samples] == [2, 2, 4, 2]
    assert all(each["output"]["usage"]["input_tokens"] for each in samples)
    assert "gate passed" in (root / "r.html").read_text("utf-8")
