"""An upstream that speaks Anthropic's protocol, and a backend that asks it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from headrace.models.anthropic.backend import AnthropicBackend
from headrace.models.anthropic.settings import AnthropicSettings
from tests.upstreams.anthropic import KEY, AnthropicUpstream
from tests.upstreams.server import Server, serving

NOW = 1_764_000_000.0
"""2025-11-24T16:00:00Z"""


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def fake(server: Server) -> AnthropicUpstream:
    return AnthropicUpstream(server)


@pytest.fixture
async def backend(fake: AnthropicUpstream, tmp_path: Path) -> AsyncIterator[AnthropicBackend]:
    settings = AnthropicSettings(
        model="claude-sonnet-5",
        base_url=fake.server.url(),
        api_key=KEY,
        beta=["files-api-2025-04-14"],
    )
    made = AnthropicBackend(
        settings, name="claude", root=tmp_path, home=tmp_path, clock=lambda: NOW
    )
    await made.start()
    yield made
    await made.stop()
