"""Deployments on a server of OpenAI's that runs here."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from headrace.models.openai.backend import (
    CompatibleBackend,
    CompatibleSettings,
    OpenAIBackend,
    OpenAISettings,
)
from tests.upstreams.openai import KEY, MODEL
from tests.upstreams.server import Server, serving

Serve = Callable[..., Awaitable[CompatibleBackend]]
"""Starts a deployment on the server: the backend's class, then settings."""


@pytest.fixture
def upstream() -> Iterator[Server]:
    """A scripted HTTP server on this machine."""
    with serving() as running:
        yield running


@pytest.fixture
async def serve(upstream: Server, tmp_path: Path) -> AsyncIterator[Serve]:
    """A deployment on it; stopped at the end."""
    async with AsyncExitStack() as stack:

        async def start(
            kind: type[CompatibleBackend] = OpenAIBackend, **settings: object
        ) -> CompatibleBackend:
            values = {"model": MODEL, "base_url": upstream.url("/v1"), "api_key": KEY, **settings}
            of = OpenAISettings if kind is OpenAIBackend else CompatibleSettings
            made = kind(
                of(**values),  # type: ignore[arg-type]  # each test names real ones
                name="test",
                root=tmp_path,
                home=tmp_path,
            )
            await made.start()
            stack.push_async_callback(made.stop)
            return made

        yield start
