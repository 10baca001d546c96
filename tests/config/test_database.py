"""`database:`: the address of a server, and never its password in an error."""

from pathlib import Path

import pytest

from headrace.config.database import database_setting
from headrace.config.load import load_service
from headrace.errors import ConfigError

REST = """
models:
  small:
    deployments: [{backend: embedded, weights: "file:small.gguf"}]
pipeline: [generate]
"""


def written(root: Path, setting: str) -> Path:
    (root / "headrace.yaml").write_text(f"{setting}{REST}", "utf-8")
    return root


def test_the_address_is_filled_in_and_found_by_itself(tmp_path: Path) -> None:
    root = written(tmp_path, "database: postgres://ada:${DB_PASSWORD}@db:5433/headrace")
    environ = {"DB_PASSWORD": "s3cret"}
    address = "postgresql://ada:s3cret@db:5433/headrace"
    assert load_service(root, environ).database == address
    assert database_setting(root, environ) == address


def test_without_it_nothing_of_the_file_is_needed(tmp_path: Path) -> None:
    root = written(tmp_path, "name: ${UNSET}")
    assert database_setting(root, {}) is None
    assert database_setting(tmp_path / "nowhere", {}) is None


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("mysql://ada:s3cret@db/x", "only PostgreSQL"),
        ("s3cret", "only PostgreSQL"),
        ("postgresql://ada:s3cret@db", "names no database"),
        ("postgresql://ada:s3cret@db:port/x", "cannot be read"),
        ("5432", "expected the address"),
    ],
)
def test_what_is_no_address_is_said_without_what_it_holds(
    tmp_path: Path, address: str, says: str
) -> None:
    root = written(tmp_path, f"database: {address}")
    with pytest.raises(ConfigError, match=says) as raised:
        load_service(root, {})
    assert "headrace.yaml:1: database" in raised.value.message
    assert "s3cret" not in f"{raised.value}{raised.value.hint}"
