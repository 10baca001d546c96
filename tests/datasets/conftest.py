"""A store of datasets in a folder of its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.datasets.store import DatasetStore
from headrace.privacy.vault import Vault
from headrace.storage.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(tmp_path / "state.db")
    yield opened
    opened.close()


@pytest.fixture
def vault(database: Database, tmp_path: Path) -> Vault:
    return Vault.open(database, tmp_path)


@pytest.fixture
def store(database: Database, vault: Vault, tmp_path: Path) -> DatasetStore:
    return DatasetStore(database, vault, tmp_path, clock=lambda: 1_000.0)
