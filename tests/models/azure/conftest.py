"""A deployment of Azure OpenAI that runs here."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from headrace.models.azure.backend import AzureOpenAIBackend, AzureOpenAISettings
from tests.upstreams.openai import KEY, FakeOpenAI
from tests.upstreams.server import Server, serving

ServeAzure = Callable[..., Awaitable[AzureOpenAIBackend]]
"""Starts a deployment with these settings."""


@pytest.fixture
def upstream() -> Iterator[Server]:
    """A server that speaks as Azure does."""
    with serving() as running:
        FakeOpenAI(azure=True).mount(running)
        yield running


@pytest.fixture
async def serve(upstream: Server, tmp_path: Path) -> AsyncIterator[ServeAzure]:
    """A deployment on it; stopped at the end."""
    async with AsyncExitStack() as stack:

        async def start(**settings: object) -> AzureOpenAIBackend:
            values = {"model": "my prod", "base_url": upstream.url(), "api_key": KEY, **settings}
            of = AzureOpenAISettings(**values)  # type: ignore[arg-type]  # each test names real ones
            made = AzureOpenAIBackend(of, name="test", root=tmp_path, home=tmp_path)
            await made.start()
            stack.push_async_callback(made.stop)
            return made

        yield start
