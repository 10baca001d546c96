"""A service's folder, and two homes with releases of their own."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from headrace.models.adapter import Adapter, AdapterStore
from headrace.releases.build import collect, manifest_of
from headrace.releases.manifest import AdapterEntry, Manifest
from headrace.releases.store import Release, ReleaseStore
from headrace.storage.database import Database

__all__ = ["YAML", "adapter_in", "add", "manifest", "opened"]

YAML = "name: mill\nmodels: {}\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "service"
    (root / "prompts").mkdir(parents=True)
    (root / "headrace.yaml").write_text(YAML)
    (root / "prompts" / "assistant.yaml").write_text("system: Hello ${file:../secret.txt}\n")
    (root / "secret.txt").write_text("sk-secret")
    return root


def opened(folder: Path) -> Iterator[ReleaseStore]:
    folder.mkdir(exist_ok=True)
    database = Database.open(folder / "state.db")
    yield ReleaseStore(database, folder, clock=lambda: 1_000.0)
    database.close()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ReleaseStore]:
    yield from opened(tmp_path / "home")


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[ReleaseStore]:
    yield from opened(tmp_path / "elsewhere")


def manifest(
    root: Path,
    behaviour: str = "sha256:aaaa1111",
    *,
    knowledge: str | None = None,
    adapters: Sequence[AdapterEntry] = (),
) -> tuple[Manifest, dict[str, bytes]]:
    files, outside = collect(root)
    made = manifest_of(
        files,
        outside,
        service="mill",
        behaviour=behaviour,
        models={"m": "1"},
        knowledge=knowledge,
        adapters=adapters,
    )
    return made, files


def add(store: ReleaseStore, root: Path, behaviour: str = "sha256:aaaa1111") -> Release:
    return store.add(*manifest(root, behaviour))[0]


def adapter_in(home: Path, tmp_path: Path) -> str:
    """An adapter of the registry; its digest."""
    folder = tmp_path / "made"
    folder.mkdir()
    (folder / "adapter.gguf").write_bytes(b"GGUF, an adapter")
    (folder / "adapter_config.json").write_bytes(b"{}")
    (folder / "card.md").write_text("made on a Monday")
    about = Adapter(digest=f"sha256:{'ab' * 32}", name="mill-7", base="file:x.gguf", base_sha256="")
    return AdapterStore(home).put(about, folder).digest
