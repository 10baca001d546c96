"""`headrace init` and `headrace schema`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import jsonschema
import pytest
import yaml

if TYPE_CHECKING:
    from tests.cli.conftest import Call


def test_a_new_service_is_written_and_loads(call: "Call", folder: Path) -> None:
    result = call("init", "mine")
    assert result.status == 0, result.err
    assert result.out.endswith("next: cd mine && headrace up\n")
    assert (folder / "mine" / "headrace.yaml").exists()


def test_a_service_that_is_there_is_left_alone(call: "Call", folder: Path) -> None:
    (folder / "headrace.yaml").write_text("mine: true\n")
    result = call("init")
    assert result.status == 1
    assert "holds a service already" in result.err
    assert (folder / "headrace.yaml").read_text() == "mine: true\n"


def test_what_was_written_is_listed_as_json(call: "Call", folder: Path) -> None:
    done = json.loads(call("init", "--json").out)
    assert done["folder"] == str(folder)
    assert "headrace.yaml" in done["written"]
    assert done["kept"] == []


@pytest.mark.parametrize("kind", ["service", "prompt", "policy", "catalogue"])
def test_each_schema_is_a_valid_schema(call: "Call", kind: str) -> None:
    schema = json.loads(call("schema", kind).out)
    assert json.loads(call("schema", kind, "--json").out) == schema
    jsonschema.Draft202012Validator.check_schema(schema)


def test_the_service_schema_is_the_default_and_takes_what_init_writes(
    call: "Call", folder: Path
) -> None:
    call("init")
    schema = json.loads(call("schema").out)
    written = yaml.safe_load((folder / "headrace.yaml").read_text("utf-8"))
    jsonschema.Draft202012Validator(schema).validate(written)
    del written["models"]
    assert not jsonschema.Draft202012Validator(schema).is_valid(written)


def test_a_new_service_passes_its_own_doctor(
    call: "Call", folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")  # its weights are not what is looked at here
    assert call("init").status == 0
    found = json.loads(call("doctor", "--json").out)["checks"]
    told = [each for each in found if each["check"] == "files"]
    assert [each["status"] for each in told] == ["ok"], told
