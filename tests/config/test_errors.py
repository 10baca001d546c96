"""What a mistake in headrace.yaml is answered with: file, line, field, found, allowed, nearest."""

import traceback
from pathlib import Path

import pytest

from headrace.config.load import load_service
from headrace.config.node import load_yaml, parse_yaml
from headrace.errors import ConfigError
from tests.config.conftest import MODELS, SERVICE, Load

DEPLOYMENT = "models.small.deployments[0]"

MISTAKES = {
    "an unknown section": (
        SERVICE + "modles: {}\n",
        "8: modles: unknown field 'modles'",
        "'models'",
    ),
    "an unknown field": (
        SERVICE + "server:\n  host: h\n  prot: 1\n",
        "10: server.prot: unknown field 'prot'",
        "did you mean 'port'?",
    ),
    "a field far from any": (
        SERVICE + "server: {xyz: 1}\n",
        "8: server.xyz: unknown field 'xyz'",
        "known fields: body_timeout_s, drain_s, ",
    ),
    "a misspelt required field": (
        SERVICE.replace("weights", "wieghts"),
        f"5: {DEPLOYMENT}.wieghts: unknown field 'wieghts'",
        "did you mean 'weights'?",
    ),
    "a missing field": (
        SERVICE.replace("        weights: file:small.gguf\n", ""),
        f"4: {DEPLOYMENT}: the field 'weights' is missing",
        "add `weights: …`: text",
    ),
    "a missing backend": (
        "models: {a: {deployments: [{weights: w}]}}\npipeline: [generate]",
        "1: models.a.deployments[0]: the field 'backend' is missing",
        "backend: embedded",
    ),
    "no pipeline": (MODELS, "1: the field 'pipeline' is missing", "pipeline: [generate]"),
    "no models": ("pipeline: [generate]", "1: models: no model is declared", "headrace init"),
    "no generate": (
        MODELS + "pipeline:\n  - normalize\n",
        "6: pipeline: there is no `generate` step",
        "add `- generate`",
    ),
    "generate twice": (
        SERVICE + "  - generate\n",
        "8: pipeline[1]: `generate` stands here a second time",
        "keep one",
    ),
    "a place that cannot be": (
        MODELS + "        capacity: 0\npipeline: [generate]\n",
        "6: models.small.deployments[0].capacity: expected a whole number of at least 1, found 0",
        "",
    ),
    "a route without a model": (
        SERVICE + "routes:\n  best:\n    models: [smal]\n",
        "10: routes.best.models[0]: no model is called 'smal'",
        "did you mean 'small'?",
    ),
    "a route with a model's name": (
        SERVICE + "routes:\n  small: {}\n",
        "9: routes.small: 'small' is the name of a model as well",
        "name of its own",
    ),
    "a weight for a stranger": (
        SERVICE + "routes:\n  best:\n    weights: {smal: 2}\n",
        "10: routes.best.weights.smal: the route does not use a model 'smal'",
        "did you mean 'small'?",
    ),
    "a wrong type": (
        SERVICE + "server:\n  port: eighty\n",
        "9: server.port: expected a whole number from 0 to 65535, found 'eighty'",
        "",
    ),
    "out of range": (
        SERVICE + "traces: {retention_days: 0}\n",
        "8: traces.retention_days: expected a number above 0, found 0",
        "",
    ),
    "a number no machine holds": (
        SERVICE + "server: {port: 99999999999999999999999}\n",
        "8: server.port: expected a whole number from 0 to 65535, found '999",
        "",
    ),
    "a wrong item of a list": (
        MODELS + "    params:\n      stop:\n        - a\n        - 3\npipeline: [generate]\n",
        "9: models.small.params.stop[1]: expected text, found 3",
        "",
    ),
    "a wrong item of a mapping": (
        SERVICE + "traces:\n  otlp_headers:\n    a: b\n    c: [d]\n",
        "11: traces.otlp_headers.c: expected text, found a list",
        "",
    ),
    "a wrong name": (
        SERVICE + "  - refine: {typography: aut}\n",
        "8: pipeline[1].refine.typography: expected 'auto' or 'off', found 'aut'",
        "did you mean 'auto'?",
    ),
    "a yes": (
        SERVICE + "traces: {content: yes}\n",
        "8: traces.content: expected true or false, found 'yes'",
        "",
    ),
    "a scalar for a section": (
        SERVICE + "traces: 3\n",
        "8: traces: expected a mapping, found 3",
        "",
    ),
    "a scalar for a list": (
        MODELS + "pipeline: generate\n",
        "6: pipeline: expected a list of steps, found 'generate'",
        "- name",
    ),
    "two names in a step": (
        MODELS + "pipeline:\n  - generate:\n    refine:\n",
        "7: pipeline[0]: each step is a name",
        "- normalize",
    ),
    "a key twice": (
        SERVICE + "name: a\nname: b\n",
        "9: name: stands here a second time (first in line 8)",
        "keep one",
    ),
    "a key with a dot": (
        SERVICE.replace("small:", "gpt-4.1:").replace("weights", "wights"),
        "5: models.'gpt-4.1'.deployments[0].wights: unknown field",
        "'weights'",
    ),
    "a list": ("- a\n- b\n", "1: expected a mapping, found a list", ""),
    "a word": ("hello", "1: expected a mapping, found 'hello'", ""),
    "an empty file": ("", "1: the file is empty", "headrace init"),
    "nothing but comments": ("# name: x\n\n", "1: the file is empty", "headrace init"),
    "a tab": (
        SERVICE + "server:\n\tport: 1\n",
        "9: this is not valid YAML: a tab indents this line",
        "spaces",
    ),
    "an open bracket": ("name: x\nmodels: [a\n", "2: this is not valid YAML", "quotes"),
    "two documents": (
        SERVICE + "---\nname: x\n",
        "8: this is not valid YAML: a second document begins here",
        "one document",
    ),
    "a control character": (
        "name: x\x07\n",
        "1: the character U+0007 cannot stand in YAML",
        "delete it",
    ),
    "an escaped null": ('name: "a\\0b"\n', "1: name: holds the character U+0000", "take it out"),
    "a merge": (
        "a: &a {b: 1}\nc:\n  <<: *a\n",
        "3: c: merging (`<<`) is not supported",
        "write the fields out",
    ),
    "a key that is a list": ("? [a, b]\n: c\n", "1: a key must be plain text", ""),
    "an anchor inside itself": (
        "a: &a [*a]\n",
        "1: the file holds more than 100000 values, or 100 levels",
        "anchor",
    ),
    "anchors that double": (
        "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, 40)),
        "1: the file holds more than 100000 values",
        "anchor",
    ),
    "brackets without end": ("[" * 50_000, "1: this is not valid YAML", ""),
    "an unset variable": (
        SERVICE + "name: ${NOPE_NOT_SET}\n",
        "8: name: the environment variable NOPE_NOT_SET is not set",
        "export NOPE_NOT_SET=…",
    ),
    "a misspelt variable": (
        SERVICE + "name: ${TOKEM}\n",
        "8: name: the environment variable TOKEM is not set",
        "did you mean ${TOKEN}?",
    ),
    "an empty variable": (
        SERVICE + "name: ${BARE}\n",
        "8: name: the environment variable BARE is set, but empty",
        "export BARE=…",
    ),
    "an absent file": (
        SERVICE + "name: ${file:absent.txt}\n",
        "8: name: ${file:absent.txt} cannot be read: No such file or directory",
        "absent.txt there",
    ),
    "no reference": (SERVICE + "name: ${a-b}\n", "8: name: ${a-b} is not a reference", "$${"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_named_with_file_line_field_and_what_to_do(mistake: str, load: Load) -> None:
    text, message, hint = MISTAKES[mistake]
    with pytest.raises(ConfigError) as caught:
        load(text)
    assert caught.value.message.startswith(f"headrace.yaml:{message}")
    assert hint in caught.value.hint


def test_lines_count_as_editors_count_them(load: Load) -> None:
    # YAML 1.1 also ends a line at U+2028 and U+0085; editors do not.
    text = f'name: "a\u2028b\x85c"\r\n# 注释\r\n{SERVICE}server: {{port: x}}\n'
    with pytest.raises(ConfigError, match=r"^headrace\.yaml:10: server\.port"):
        load(text)


def test_a_value_under_an_anchor_is_named_where_it_is_written(load: Load) -> None:
    text = MODELS + "pipeline:\n  - generate: &set\n      max_tokens: x\n  - refine: *set\n"
    with pytest.raises(
        ConfigError, match=r"^headrace\.yaml:8: pipeline\[0\]\.generate\.max_tokens"
    ):
        load(text)


SECRET = "sk-live-0123456789abcdef"  # what must not be shown


@pytest.mark.parametrize(
    "field",
    [
        "server: {port: '${SECRET}'}",
        "server: '${SECRET}'",
        "traces: {content: '${SECRET}'}",
        "traces: {retention_days: 'x${SECRET}'}",
        "  - refine: {typography: '${SECRET}'}",
        "  - check: {checks: ['${SECRET}']}",
        "  - [a, '${SECRET}']",
        "modles: '${SECRET}'",
    ],
)
def test_a_secret_never_shows_in_an_error(field: str, load: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load(SERVICE + field, SECRET=SECRET)
    error = caught.value
    assert SECRET not in error.message + error.hint + "".join(traceback.format_exception(error))


def test_a_file_that_is_not_utf8_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "headrace.yaml").write_bytes(b"name: a\n# caf\xe9\n")
    with pytest.raises(ConfigError, match=r"headrace\.yaml:2: byte 13 is not valid UTF-8"):
        load_service(tmp_path, {})


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "headrace.yaml").mkdir()
    with pytest.raises(ConfigError, match=r"headrace\.yaml:1: cannot be read: Is a directory"):
        load_service(tmp_path, {})


def test_a_link_to_nowhere_does_not_start_the_built_in_assistant(tmp_path: Path) -> None:
    (tmp_path / "headrace.yaml").symlink_to("elsewhere.yaml")
    with pytest.raises(ConfigError, match="No such file"):
        load_service(tmp_path, {})


@pytest.mark.parametrize("name", ["headrace.yml", "prompts/assistant.yml", "policies/strict.yml"])
def test_a_file_that_would_be_passed_over_is_named(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("name: x\n")
    with pytest.raises(ConfigError, match=r"\.yml:1: a file with this name is not read") as caught:
        load_service(tmp_path, {})
    assert path.with_suffix(".yaml").name in caught.value.hint


def test_too_large_a_file_is_refused(tmp_path: Path) -> None:
    large = "#" * (4 * 1024 * 1024 + 1)
    with pytest.raises(ConfigError, match=r"^f:1: the file holds more than 4194304 characters"):
        parse_yaml(large, "f", {}, root=tmp_path)
    (tmp_path / "headrace.yaml").write_text(large * 5)
    with pytest.raises(ConfigError, match=r"headrace\.yaml:1: the file holds more than"):
        load_service(tmp_path, {})


def test_an_error_names_a_file_below_the_current_folder_as_it_would_be_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "svc").mkdir()
    (tmp_path / "svc" / "headrace.yaml").write_text("- a\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"^svc/headrace\.yaml:1: "):
        load_service(tmp_path / "svc", {})
    monkeypatch.chdir("/")
    assert load_yaml(tmp_path / "svc" / "headrace.yaml", {}).file.endswith("svc/headrace.yaml")
