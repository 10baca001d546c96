"""The example of a step of one's own, installed as a user installs it, in a service that runs."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import HEADRACE, ServiceProcess

EXAMPLE = Path(__file__).parents[2] / "examples" / "custom_step"
LINE = "\n\nWritten by a machine; check what matters."


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment in which the example's package is there beside Headrace."""
    # A copy: building must not leave anything in the repository.
    source = tmp_path_factory.mktemp("source") / "custom_step"
    shutil.copytree(EXAMPLE, source)
    target = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run(
        [*pip, "--no-deps", "--target", str(target), str(source)], check=True, timeout=90
    )
    return {"PYTHONPATH": str(target)}


def copy_of_service(folder: Path) -> Path:
    folder.mkdir()
    shutil.copy(EXAMPLE / "headrace.yaml", folder)
    return folder


@pytest.mark.model
def test_the_installed_step_acts_on_the_answer_and_shows_in_its_trace(
    tmp_path: Path, model_home: Path, installed: dict[str, str]
) -> None:
    service = ServiceProcess.start(
        copy_of_service(tmp_path / "root"), model_home, environ=installed
    )
    try:
        body = {"messages": [{"role": "user", "content": "Say yes."}], "max_tokens": 256}
        with service.client() as client:
            answer = client.post("/v1/chat/completions", json=body)
        choice = answer.raise_for_status().json()["choices"][0]
        assert choice["finish_reason"] == "stop"
        assert choice["message"]["content"].endswith(LINE)
        assert choice["message"]["content"] != LINE
        shown = service.run("trace", "show", answer.headers["x-headrace-trace"], "--json")
        spans = [span["name"] for span in json.loads(shown.stdout)["spans"]]
        assert spans[-1] == "footer"
    finally:
        service.stop()


def test_settings_that_the_step_does_not_have_are_an_error_with_their_place(
    tmp_path: Path, installed: dict[str, str]
) -> None:
    root = copy_of_service(tmp_path / "root")
    file = root / "headrace.yaml"
    file.write_text(file.read_text("utf-8").replace("{text:", "{txt:"), "utf-8")
    failed = subprocess.run(
        [HEADRACE, "up", "--port", "0"],
        cwd=root,
        env={**os.environ, **installed, "HEADRACE_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert failed.returncode != 0
    assert "headrace.yaml:21: pipeline[6].footer.txt: unknown field 'txt'" in failed.stderr
    assert "did you mean 'text'?" in failed.stderr


def test_without_the_package_the_step_is_unknown_and_the_known_ones_are_listed(
    tmp_path: Path,
) -> None:
    failed = subprocess.run(
        [HEADRACE, "up", "--port", "0"],
        cwd=copy_of_service(tmp_path / "root"),
        env={**os.environ, "HEADRACE_HOME": str(tmp_path / "home")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "no step is called 'footer'" in failed.stderr
    assert "normalize" in failed.stderr
