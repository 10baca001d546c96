"""A home with a database and its vault."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from headrace.privacy.vault import Vault
from headrace.storage.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.open(tmp_path / "state.db")
    yield database
    database.close()


@pytest.fixture
def vault(database: Database, tmp_path: Path) -> Vault:
    return Vault.open(database, tmp_path)
