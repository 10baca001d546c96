"""A sound service in a folder of its own, for a test to break."""

from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.server.doctor.site import Site

SERVICE = """\
server: {port: 0}
models:
  small:
    deployments: [{backend: embedded, weights: "file:small.gguf"}]
pipeline: [normalize, generate]
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A service whose weights are a file of its own; it has never run."""
    (tmp_path / "headrace.yaml").write_text(SERVICE)
    (tmp_path / "small.gguf").write_bytes(b"weights")
    return tmp_path


@pytest.fixture
def site(root: Path) -> Callable[[], Site]:
    """Look at the service as it is now."""
    return lambda: Site.of(root, {})
