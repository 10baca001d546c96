"""What many tests share: the real weights, fetched once, and homes that already have them."""

import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import settings

from headrace.config.load import load_service
from headrace.models.embedder import ModelEmbedder, open_embedder
from headrace.models.onnx.settings import PINNED
from headrace.models.store import ModelStore
from headrace.models.universal.settings import PINNED as PINNED_MULTILINGUAL
from headrace.storage.writer import BatchWriter
from tests.postgres import (
    engine_of_the_test,
    postgres,
    postgres_database,
    pytest_generate_tests,
)
from tests.running import ServiceProcess
from tests.sqlite import migrated_at_once

__all__ = [
    "engine_of_the_test",
    "migrated_at_once",
    "postgres",
    "postgres_database",
    "pytest_generate_tests",
]

# No test is timed: on a busy machine a deadline fails what is right.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")

# Several workers share the cores, and a thread that waits for one that is not scheduled burns what
# the other one needs. What needs more threads says so itself; processes inherit it.
os.environ.setdefault("OMP_THREAD_LIMIT", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

REPOSITORY = Path(__file__).parent.parent
CACHE = REPOSITORY / ".cache" / "headrace"


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees, or writes to, the home and key of whoever runs the suite."""
    for name in ("HEADRACE_HOME", "HEADRACE_API_KEY", "HEADRACE_MASTER_KEY", "HEADRACE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session", autouse=True)
def _small_journals() -> Iterator[None]:
    """Each of some hundred services would write 32 MB of zeros to the disk before it starts."""
    given = BatchWriter.__init__.__kwdefaults__
    assert given is not None
    assert "capacity_bytes" in given
    with pytest.MonkeyPatch.context() as patched:
        patched.setitem(given, "capacity_bytes", 4 << 20)
        yield


@pytest.fixture(scope="session")
def weights_folder() -> Path:
    """A model store that holds the built-in assistant's weights."""
    folder = CACHE / "models"
    service = load_service(Path("/nonexistent"), os.environ)
    for model in service.models.values():
        settings = model.deployments[0].settings.value
        assert isinstance(settings, dict)
        ModelStore(folder, root=REPOSITORY).fetch(str(settings["weights"]), str(settings["sha256"]))
    return folder


@pytest.fixture
def model_home(tmp_path: Path, weights_folder: Path) -> Iterator[Path]:
    """A fresh home whose model store is the shared one."""
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "models").symlink_to(weights_folder)
    yield home


@pytest.fixture(scope="session")
def embedding_folder() -> Path:
    """A model store that holds the built-in embedding model (23 MB)."""
    folder = CACHE / "models"
    store = ModelStore(folder, root=REPOSITORY)
    for reference, sha256 in PINNED.items():
        store.fetch(reference, sha256)
    return folder


@pytest.fixture(scope="session")
def multilingual_folder(embedding_folder: Path) -> Path:
    """A model store that holds the built-in multilingual embedding model too (32 MB)."""
    store = ModelStore(embedding_folder, root=REPOSITORY)
    for reference, sha256 in PINNED_MULTILINGUAL.items():
        store.fetch(reference, sha256)
    return embedding_folder


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def multilingual(
    tmp_path_factory: pytest.TempPathFactory, multilingual_folder: Path
) -> AsyncIterator[ModelEmbedder]:
    """The real built-in multilingual embedding model: a second to load, so once for all.

    It belongs to the session's event loop: mark its tests `asyncio(loop_scope="session")`.
    """
    home = tmp_path_factory.mktemp("multilingual")
    (home / "models").symlink_to(multilingual_folder)
    name = "embedding-multilingual"
    async with open_embedder(Path("/nonexistent"), home, os.environ, name=name) as opened:
        yield opened


@pytest.fixture
async def embedder(tmp_path: Path, embedding_folder: Path) -> AsyncIterator[ModelEmbedder]:
    """The real built-in embedding model."""
    home = tmp_path / "embedding-home"
    home.mkdir(mode=0o700)
    (home / "models").symlink_to(embedding_folder)
    async with open_embedder(Path("/nonexistent"), home, os.environ) as opened:
        yield opened


@pytest.fixture(scope="session")
def service(
    tmp_path_factory: pytest.TempPathFactory, weights_folder: Path
) -> Iterator[ServiceProcess]:
    """The built-in assistant, running; shared by all tests that do not harm it."""
    root = tmp_path_factory.mktemp("service")
    home = root / "home"
    home.mkdir(mode=0o700)
    (home / "models").symlink_to(weights_folder)
    running = ServiceProcess.start(root, home)
    yield running
    running.stop()
