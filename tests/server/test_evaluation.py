"""What a folder declares, before anything is started: what kept answers are found by."""

from contextlib import closing
from pathlib import Path

import pytest

from headrace.models.store import ModelStore
from headrace.privacy.vault import Vault
from headrace.server.evaluation import declared_release
from headrace.server.state import DATABASE_FILE
from headrace.storage.database import Database

SERVICE = """\
models:
  small: {deployments: [{backend: embedded, weights: "file:small.gguf"}]}
pipeline: [generate]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "home").mkdir(mode=0o700)
    (tmp_path / "headrace.yaml").write_text(SERVICE)
    (tmp_path / "small.gguf").write_bytes(b"GGUF one")
    return tmp_path


def declared(root: Path) -> str:
    home = root / "home"
    ModelStore(home / "models", root=root).fetch("file:small.gguf", None)
    with closing(Database.open(home / DATABASE_FILE)) as database:
        vault = Vault.open(database, home, environ={})
        return declared_release(root, home, {}, database, vault)


def test_it_stays_until_weights_settings_or_prompts_change(folder: Path) -> None:
    first = declared(folder)
    assert declared(folder) == first
    (folder / "headrace.yaml").write_text(SERVICE.replace("generate]", "normalize, generate]"))
    assert declared(folder) != first
    (folder / "headrace.yaml").write_text(SERVICE)
    assert declared(folder) == first


def test_other_weights_under_the_same_name_are_another(folder: Path) -> None:
    first = declared(folder)
    (folder / "small.gguf").write_bytes(b"GGUF two")
    (folder / "home" / "models" / "index.json").unlink(missing_ok=True)
    assert declared(folder) != first
