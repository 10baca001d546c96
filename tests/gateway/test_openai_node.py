"""The unmodified OpenAI Node SDK against a running service with the real model."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.running import ServiceProcess

pytestmark = [pytest.mark.service, pytest.mark.model, pytest.mark.node]

FOLDER = Path(__file__).parent / "node"


@pytest.fixture(scope="module")
def node() -> str:
    """Node with the SDK installed beside the tests."""
    found, npm = shutil.which("node"), shutil.which("npm")
    if found is None or npm is None:
        if os.environ.get("CI"):
            pytest.fail("node and npm are not installed")
        pytest.skip("node and npm are not installed")
    if not (FOLDER / "node_modules" / "openai").exists():
        subprocess.run(
            [npm, "ci", "--omit=optional", "--no-audit", "--no-fund"], cwd=FOLDER, check=True
        )
    return found


@pytest.mark.timeout(240)
def test_the_node_sdk_passes_its_suite(node: str, service: ServiceProcess) -> None:
    done = subprocess.run(
        [
            node,
            "--test",
            "--test-reporter=spec",
            "openai.test.mjs",
            "responses.test.mjs",
            "fine_tuning.test.mjs",
        ],
        cwd=FOLDER,
        env={**os.environ, "HEADRACE_TEST_URL": service.url, "HEADRACE_TEST_KEY": service.key},
        capture_output=True,
        text=True,
        timeout=220,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "fail 0" in done.stdout
