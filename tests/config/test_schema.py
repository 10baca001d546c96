"""The published schemas take what load takes, and refuse what it refuses."""

import importlib.util
import sys
from collections.abc import Mapping
from importlib import resources
from pathlib import Path

import jsonschema
import msgspec
import pytest
import yaml

from headrace.cli.schema import service_sections
from headrace.config.document import read_document
from headrace.config.node import parse_yaml
from headrace.config.schema import Schema, service_schema, struct_schema
from headrace.errors import ConfigError
from headrace.models.catalogue.entry import CatalogueFile
from headrace.prompts.file import PromptFile
from headrace.prompts.reader import read_template
from headrace.screening.policy import PolicyFile, PolicyLibrary
from tests.config.conftest import MODELS, SERVICE, Load

Settings = Mapping[str, type[msgspec.Struct]]
Validator = jsonschema.Draft202012Validator

SOUND = [
    SERVICE,
    SERVICE + "region: eu-west\nresidency: eu\nroutes:\n  best: {models: [small], prefer: cost}\n",
    SERVICE + "residency: [eu, ch]\nroutes: {any: , far: {require: {regions: [us]}}}\n",
    SERVICE + "limits:\n  - {requests_per_minute: 60, tokens_per_minute: 100k}\n",
    MODELS
    + "        region: eu\n        capacity: 8\n        weight: 2.5\n        price: {output: 1}\n"
    + "    balance: {prefer: weights, retry: {attempts: 2}}\npipeline: [generate]\n",
    SERVICE + "name: x\n",
    SERVICE + "traces:\nserver:\nconversations: {retention_days: 1}\n",
    SERVICE + "server: {port: '${PORT}', host: '${TOKEN}', drain_s: 0}\n",
    SERVICE + "server: {port: ~, host: '::1'}\n",
    SERVICE + "traces: {content: '${YES}', otlp_headers: {a: '${TOKEN}'}, max_mb: 16}\n",
    SERVICE + "  - refine: {typography: off}\n  - refine:\n  - normalize: {}\n",
    SERVICE + "  - check: {checks: []}\n  - screen: {policy: strict}\n",
    MODELS
    + "    params: {temperature: 2, stop: [a], extra: {any: [thing]}}\npipeline: [generate]\n",
    MODELS + "    params:\n    price: {input: 1.5, cached_input: ~}\npipeline: [generate]\n",
    MODELS
    + "        threads: 2\n        gpu_layers: -1\npipeline: [{generate: {max_tokens: 5}}]\n",
    MODELS + f"        sha256: {'ab' * 32}\npipeline: [generate]\n",
    MODELS + "        sha256: \npipeline: [generate]\n",
    "models: {模型: {deployments: [{backend: embedded, weights: '文件'}]}}\npipeline: [generate]\n",
]
UNSOUND = [
    "{}",
    "- a",
    "pipeline: [generate]",
    MODELS,
    MODELS + "pipeline: []",
    MODELS + "pipeline: [normalize]",
    MODELS + "pipeline: [generate, generate]",
    MODELS + "pipeline: [generate, {generate: {}}]",
    MODELS + "pipeline: generate",
    MODELS + "pipeline: [generate, [refine]]",
    MODELS + "pipeline: [generate, 3]",
    MODELS + "pipeline: [generate, {refine: {}, check: {}}]",
    MODELS + "pipeline: [generate, nomalize]",
    MODELS + "pipeline: [generate, {nomalize: {}}]",
    MODELS + "pipeline: [generate, {refine: {typografy: off}}]",
    MODELS + "pipeline: [generate, {refine: {typography: of}}]",
    MODELS + "pipeline: [generate, {refine: {max_repeats: -1}}]",
    MODELS + "pipeline: [generate, {check: {checks: [emty]}}]",
    "models: {}\npipeline: [generate]",
    "models: {'': {deployments: [{backend: embedded, weights: w}]}}\npipeline: [generate]",
    "models: {a: }\npipeline: [generate]",
    "models: {a: {}}\npipeline: [generate]",
    "models: {a: {deployments: []}}\npipeline: [generate]",
    "models: {a: {deployments: {backend: embedded}}}\npipeline: [generate]",
    "models: {a: {deployments: [{weights: w}]}}\npipeline: [generate]",
    "models: {a: {deployments: [{backend: embedded}]}}\npipeline: [generate]",
    "models: {a: {deployments: [{backend: embeded, weights: w}]}}\npipeline: [generate]",
    "models: {a: {deployments: [{backend: 3, weights: w}]}}\npipeline: [generate]",
    MODELS + "        capacity: 0\npipeline: [generate]",
    MODELS + "        price: {input: -1}\npipeline: [generate]",
    MODELS + "    balance: {prefer: nobody}\npipeline: [generate]",
    SERVICE + "routes: {best: {prefer: fastest}}",
    SERVICE + "routes: {best: {require: {tasks: chat}}}",
    SERVICE + "residency: {eu: true}",
    SERVICE + "limits: {rules: [{requests: 3}]}",
    MODELS + "        wights: w\npipeline: [generate]",
    MODELS + "        sha256: abc\npipeline: [generate]",
    MODELS + "        parallel: 257\npipeline: [generate]",
    MODELS + "        context_tokens: '4096'\npipeline: [generate]",
    MODELS + "    params: {temperature: 2.1}\npipeline: [generate]",
    MODELS + "    params: {stop: a}\npipeline: [generate]",
    MODELS + "    params: {extra: a}\npipeline: [generate]",
    MODELS + "    price: {input: -1}\npipeline: [generate]",
    MODELS + "    prize: {input: 1}\npipeline: [generate]",
    SERVICE + "name: 3",
    SERVICE + "name: ",
    SERVICE + "model: {}",
    SERVICE + "traces: []",
    SERVICE + "traces: {content: 1}",
    SERVICE + "traces: {retention_days: 0}",
    SERVICE + "traces: {otlp_headers: {a: 1}}",
    SERVICE + "server: {port: 65536}",
    SERVICE + "server: {port: 1.5}",
    SERVICE + "server: {port: $PORT}",
    SERVICE + "server: {port: '$${PORT}'}",
    SERVICE + "server: {port: true}",
    SERVICE + "server: {host: 1}",
    SERVICE + "server: '${NAME}'",
]


def written(text: str) -> object:
    """The values as an editor sees them: YAML 1.2, references left alone."""
    return read_document(text.replace("${", "$${"), "f", {}, Path())[0]


@pytest.fixture(scope="session")
def schema(step_settings: Settings, backend_settings: Settings) -> Schema:
    return service_schema(step_settings, backend_settings, service_sections())


@pytest.mark.parametrize("text", SOUND)
def test_the_schema_takes_what_load_takes(text: str, schema: Schema, load: Load) -> None:
    load(text)
    Validator(schema).validate(written(text))


@pytest.mark.parametrize("text", UNSOUND)
def test_the_schema_refuses_what_load_refuses(text: str, schema: Schema, load: Load) -> None:
    with pytest.raises(ConfigError):
        load(text)
    assert not Validator(schema).is_valid(written(text))


def test_the_schema_takes_the_built_in_assistant(schema: Schema) -> None:
    folder = resources.files("headrace.config")
    Validator(schema).validate(yaml.safe_load(folder.joinpath("builtin/headrace.yaml").read_text()))


@pytest.mark.parametrize(
    ("package", "kind"), [("headrace.prompts", PromptFile), ("headrace.screening", PolicyFile)]
)
def test_the_schemas_take_the_built_in_prompts_and_policies(
    package: str, kind: type[msgspec.Struct]
) -> None:
    validator = Validator(struct_schema(kind, "x"))
    files = list(resources.files(package).joinpath("builtin").iterdir())
    assert files
    for file in files:
        validator.validate(written(file.read_text(encoding="utf-8")))


PROMPTS = {
    "messages: {system: 你好}": True,
    "messages: {system: {default: a, zh: b}}": True,
    "variables: {a: {type: integer, min: 1, default: 3}}": True,
    "reasoning: hidden": True,
    "reasoning: {form: shown, marker: 'So:'}": True,
    "messages: ": True,
    "examples: [{user: a, assistant: b}]": True,
    "tests: [{user: a, expect: {contains: [b]}}]": True,
    "examples: {entries: [{user: a, assistant: b}], most: 3}": True,
    "examples: {choose: furthest}": False,
    "map_reduce: {part: '{{ input }}', max_parts: 8}": True,
    "map_reduce: {max_parts: 8}": False,
    "requires: {tasks: [chat], position: light}": True,
    "requires: {position: big}": False,
    "name: other": True,
    "tests: [{user: a, repeat: 2, expect: {schema: {}, max_chars: 9}}]": True,
    "reasoning: hiden": False,
    "reasoning: {marker: x}": False,
    "message: {system: a}": False,
    "messages: {system: [a]}": False,
    "messages: {system: {zh: [b]}}": False,
    "variables: {a: {type: int}}": False,
    "variables: {a: {max_length: 0}}": False,
    "examples: [{user: a}]": False,
    "params: {temperature: 3}": False,
}


@pytest.mark.parametrize("text", PROMPTS)
def test_the_prompt_schema_and_the_reader_agree(text: str, tmp_path: Path) -> None:
    valid = Validator(struct_schema(PromptFile, "x")).is_valid(written(text))
    try:
        read_template(parse_yaml(text, "p.yaml", {}, root=tmp_path), "p", tmp_path)
        loads = True
    except ConfigError:
        loads = False
    assert (valid, loads) == (PROMPTS[text], PROMPTS[text])


POLICIES = {
    "extends: default": True,
    "input: {email: mask, card: {action: block, threshold: 0.5}}": True,
    "input: {injection: [{action: block, threshold: 0.9}, {action: flag}]}": True,
    "input: ": True,
    "allow: {email: [a@b.example, {domain: example.com}]}": True,
    "terms: {rivals: [Acme]}\nboth: {term.rivals: block}": True,
    "roles: [user]": True,
    "input: {email: hide}": False,
    "input: {email: {threshold: 0.5}}": False,
    "input: {email: {action: mask, threshold: 2}}": False,
    "input: [email]": False,
    "allow: {email: [{domian: example.com}]}": False,
    "roles: [users]": False,
    "inputs: {email: mask}": False,
}


@pytest.mark.parametrize("text", POLICIES)
def test_the_policy_schema_and_the_reader_agree(text: str, tmp_path: Path) -> None:
    valid = Validator(struct_schema(PolicyFile, "x")).is_valid(written(text))
    (tmp_path / "policies").mkdir()
    (tmp_path / "policies" / "p.yaml").write_text(text)
    try:
        PolicyLibrary.load(tmp_path, {})
        loads = True
    except ConfigError:
        loads = False
    assert (valid, loads) == (POLICIES[text], POLICIES[text])


def test_every_schema_is_a_schema_and_describes_every_field(schema: Schema) -> None:
    for each in (
        schema,
        *(struct_schema(kind, "x") for kind in (PromptFile, PolicyFile, CatalogueFile)),
    ):
        Validator.check_schema(each)
        definitions = each["$defs"]
        assert isinstance(definitions, dict)
        for name, definition in definitions.items():
            for field, described in definition.get("properties", {}).items():
                assert described.get("description"), f"{name}.{field} has no sentence"


STEP = '''
from __future__ import annotations
from typing import Literal
import msgspec

class Base(msgspec.Struct, forbid_unknown_fields=True):
    shared: int = 1
    """Stands in the base
    class."""

class Mine(Base, kw_only=True, rename="camel"):
    """A step of one's own."""

    how_many: int
    """How many."""
    nested: list[Mine] = []
    quiet: Literal[1, 2] = 2
'''


def test_a_step_from_elsewhere_is_described_too(tmp_path: Path) -> None:
    path = tmp_path / "own_step.py"
    path.write_text(STEP)
    spec = importlib.util.spec_from_file_location("own_step", path)
    assert spec is not None and spec.loader is not None
    module = sys.modules["own_step"] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        schema = struct_schema(module.Mine, "mine")
    finally:
        del sys.modules["own_step"]
    mine = schema["$defs"]["Mine"]  # type: ignore[index]
    assert mine["properties"]["howMany"]["description"] == "How many."
    assert mine["properties"]["shared"]["description"] == "Stands in the base class."
    assert mine["required"] == ["howMany"]
    validator = Validator(schema)
    assert validator.is_valid({"howMany": 1, "nested": [{"howMany": "${N}"}], "quiet": 1})
    assert not validator.is_valid({"howMany": 1, "nested": [{}]})
    assert not validator.is_valid({"howMany": 1, "quiet": 3})
