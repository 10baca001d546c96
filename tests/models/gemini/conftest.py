"""An upstream that speaks Gemini's protocol, and a backend that asks it."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from headrace.models.gemini.backend import GeminiBackend
from headrace.models.gemini.settings import GeminiSettings
from tests.upstreams.gemini import KEY, GeminiUpstream
from tests.upstreams.server import Server, serving


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def fake(server: Server) -> GeminiUpstream:
    return GeminiUpstream(server)


@pytest.fixture
async def backend(fake: GeminiUpstream, tmp_path: Path) -> AsyncIterator[GeminiBackend]:
    settings = GeminiSettings(model="gemini-3.1-pro", base_url=fake.server.url("/v1"), api_key=KEY)
    made = GeminiBackend(settings, name="gemini", root=tmp_path, home=tmp_path)
    await made.start()
    yield made
    await made.stop()
