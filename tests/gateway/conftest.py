"""A service whose model says what the test wants, running as any other."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import ServiceProcess

REPOSITORY = Path(__file__).parents[2]
SERVICE = """\
name: scripted
models:
  scripted: {deployments: [{backend: scripted}], price: {input: 1, output: 2}}
pipeline:
  - ground
  - generate
"""


@pytest.fixture(scope="session")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """The service with the backend of scripted.py, brought in by an entry point."""
    site = tmp_path_factory.mktemp("site")
    package = site / "scripted_answers-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: scripted-answers\nVersion: 1.0\n"
    )
    (package / "entry_points.txt").write_text(
        "[headrace.backends]\nscripted = tests.gateway.scripted:ScriptedBackend\n"
    )
    root = tmp_path_factory.mktemp("scripted")
    (root / "headrace.yaml").write_text(SERVICE)
    home = root / "home"
    home.mkdir(mode=0o700)
    path = os.pathsep.join((str(site), str(REPOSITORY), os.environ.get("PYTHONPATH", "")))
    running = ServiceProcess.start(root, home, environ={"PYTHONPATH": path})
    yield running
    running.stop()
