"""What is wrong in a file is said before anything runs: where, what, and the nearest name."""

import os
from pathlib import Path

import jsonschema
import msgspec
import pytest

from headrace.config.node import parse_yaml
from headrace.errors import ConfigError, InvalidRequest
from headrace.workflows.workflow import Workflow, find_workflow, parse_workflow, workflow_paths

VALIDATOR = jsonschema.Draft202012Validator(
    msgspec.json.decode(
        (Path(__file__).parents[2] / "docs" / "schema" / "workflow.schema.json").read_bytes()
    )
)
STEP = "operation: run, parameters: {command: [x]}"


def parse(text: str) -> Workflow:
    return parse_workflow(parse_yaml(text, "w.yaml", {}, root=Path()), "w", text)


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("steps: {a: {operation: rum}}", "w.yaml:1: steps.a.operation: there is no operation 'rum'", "'run'"),
        ("steps:\n  a: {opration: run}", "w.yaml:2: steps.a.opration: unknown field 'opration'", "'operation'"),
        (f"steps:\n  a: {{{STEP}, needs: [b]}}", "w.yaml:2: steps.a.needs: there is no step 'b'", "a"),
        (
            "steps:\n  a:\n    operation: run\n    parameters:\n      comand: [x]",
            "w.yaml:5: steps.a.parameters.comand: unknown field 'comand'",
            "'command'",
        ),
        ("steps:\n  a: {operation: run}", "w.yaml:2: steps.a: the field 'command' is missing", "command"),
        (
            "variables: {rows: 1}\nsteps:\n  a:\n    operation: run\n    parameters: {command: ['{{ vars.row }}']}",
            "w.yaml:5: steps.a.parameters.command[0]: there is no vars.row",
            "'rows'",
        ),
        (
            f"steps:\n  a: {{{STEP}, outputs: {{text: t}}}}\n  b: {{{STEP}, when: steps.a.test}}",
            "w.yaml:3: steps.b.when: the step 'a' (run) gives no 'test'",
            "'text'",
        ),
        (f"steps:\n  a: {{{STEP}, when: '1 +'}}", "w.yaml:2: steps.a.when: '1 +' is no expression", ""),
        (
            f"steps:\n  a: {{{STEP}, needs: [c]}}\n  b: {{{STEP}, needs: [a]}}\n  c: {{{STEP}, needs: [b]}}",
            "w.yaml:2: steps.a: steps wait for each other: a → c → b → a",
            "needs",
        ),
        (f"steps:\n  a: {{{STEP}, outputs: {{x: ../y}}}}", "w.yaml:2: steps.a.outputs.x: '../y' does not lie below", ""),
        (f"steps:\n  a-b: {{{STEP}}}", "w.yaml:2: steps.a-b: 'a-b' cannot be a step's name", "letters"),
        (
            f"schedule: [{{cron: '0 25 * * *'}}]\nsteps: {{a: {{{STEP}}}}}",
            "w.yaml:1: schedule[0].cron: '0 25 * * *' is no cron line",
            "such as",
        ),
        (
            f"schedule: [{{cron: '0 3 * * *', timezone: Europe/Zürich}}]\nsteps: {{a: {{{STEP}}}}}",
            "w.yaml:1: schedule[0].timezone: 'Europe/Zürich' is no time zone",
            "Europe/Zurich",
        ),
        (
            f"triggers: [{{new_data: a, commit: ['**']}}]\nsteps: {{a: {{{STEP}}}}}",
            "w.yaml:1: triggers[0]: a trigger has exactly one of",
            "entry",
        ),
        (
            f"variables: {{must: }}\nschedule: [{{cron: '0 3 * * *'}}]\nsteps: {{a: {{{STEP}}}}}",
            "w.yaml:2: schedule[0]: the variable 'must' has no default",
            "variables",
        ),
        (
            "variables: {word: x}\nsteps:\n  a:\n    operation: run\n    parameters:\n      shell: true\n      command: grep '{{ vars.word }}' data",
            "w.yaml:7: steps.a.parameters.command: with `shell: true` the shell would run what {{ vars.word }}",
            "environment: {VARS_WORD: '{{ vars.word }}'}",
        ),
        (
            "variables: {is_shell: true}\nsteps:\n  a:\n    operation: run\n    parameters:\n      {command: 'echo {{ run.who }}', shell: '{{ vars.is_shell }}'}",
            "w.yaml:6: steps.a.parameters.command: with `shell: true` the shell would run",
            '"$RUN_WHO"',
        ),
        (f"steps: {{a: {{{STEP}, retries: -1}}}}", "w.yaml:1: steps.a.retries: expected a whole number", ""),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_place(text: str, said: str, hint: str) -> None:
    with pytest.raises(ConfigError) as found:
        parse(text)
    assert found.value.message.startswith(said), found.value.message
    assert hint in found.value.hint


def test_a_step_needs_those_that_its_expressions_name() -> None:
    found = parse(
        f"steps:\n  a: {{{STEP}, outputs: {{x: x}}}}\n  b: {{{STEP}}}\n"
        f"  c: {{{STEP}, needs: [b], inputs: {{x: '{{{{ steps.a.x }}}}'}}}}"
    )
    assert list(found.needs["c"]) == ["b", "a"]


def test_a_matrix_is_written_out_and_followed() -> None:
    found = parse(
        "variables: {rates: [1, 2]}\nsteps:\n"
        f"  a: {{{STEP}, matrix: {{rate: '{{{{ vars.rates }}}}', seed: [7, 8]}}}}\n"
        f"  b: {{{STEP}, needs: [a], matrix: {{rate: [1, 2], seed: [7, 8]}}}}\n"
        f"  c: {{{STEP}, needs: [b]}}"
    )
    plan = found.plan(found.variables({}))
    by_id = {step.id: step for step in plan.steps}
    assert len(by_id) == 9
    assert by_id["b[rate=2,seed=7]"].needs == ("a[rate=2,seed=7]",)
    assert len(by_id["c"].needs) == 4


def test_variables_are_checked() -> None:
    found = parse(
        "variables:\n  n: 1\n  must:\n  mode: {default: a, choices: [a, b]}\n"
        f"steps: {{a: {{{STEP}}}}}"
    )
    assert found.variables({"must": "x"}) == {"n": 1, "must": "x", "mode": "a"}
    for given, said in (
        ({}, "'must' of 'w' has no default"),
        ({"must": 1, "mode": "c"}, "'c' is none of 'a', 'b'"),
        ({"must": 1, "m": 2}, "no variable 'm'"),
    ):
        with pytest.raises(InvalidRequest, match=said):
            found.variables(given)


@pytest.mark.parametrize("name", sorted(workflow_paths(Path("/nonexistent"))))
def test_each_ready_workflow_is_sound(name: str, tmp_path: Path) -> None:
    found = find_workflow(name, tmp_path, os.environ)
    assert found.is_builtin
    assert found.file.description


@pytest.mark.parametrize("name", sorted(workflow_paths(Path("/nonexistent"))))
def test_the_published_schema_takes_each_ready_workflow(name: str) -> None:
    text = workflow_paths(Path("/nonexistent"))[name].read_text("utf-8")
    VALIDATOR.validate(parse_yaml(text, "w.yaml", {}, root=Path()).value)


@pytest.mark.parametrize(
    "text",
    [
        "steps: {}",
        "steps: {a: {operation: rum}}",
        "steps: {a: {operation: run}}",
        "steps: {a: {operation: run, parameters: {comand: [x]}}}",
        "steps: {a: {operation: approve, parameters: {within_s: soon}}}",
        f"steps: {{a: {{{STEP}, retries: 1.5}}}}",
    ],
)
def test_the_published_schema_refuses_what_load_refuses(text: str) -> None:
    assert not VALIDATOR.is_valid(parse_yaml(text, "w.yaml", {}, root=Path()).value)
    with pytest.raises(ConfigError):
        parse(text)


def test_a_file_of_the_folder_stands_over_a_ready_one(tmp_path: Path) -> None:
    (tmp_path / "workflows").mkdir()
    (tmp_path / "workflows" / "improve.yaml").write_text(f"steps: {{a: {{{STEP}}}}}")
    assert list(find_workflow("improve", tmp_path, {}).file.steps) == ["a"]
