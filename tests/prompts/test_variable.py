"""Typed variables: what a request may send for them."""

import json
from pathlib import Path

import pytest

from headrace.config.node import Node, parse_yaml
from headrace.errors import ConfigError, InvalidRequest
from headrace.prompts.variable import Variable, Variables


def node_of(spec: object, name: str = "tone") -> Node:
    return parse_yaml(json.dumps({name: spec}), "t.yaml", {}, root=Path()).child(name)


def variable(**spec: object) -> Variable:
    return Variable.read(node_of(spec), "tone")


@pytest.mark.parametrize(
    ("spec", "fine", "wrong"),
    [
        ({}, "x", 7),
        ({}, "", None),
        ({"type": "integer"}, 7, 7.5),
        ({"type": "integer"}, 0, True),
        ({"type": "integer", "min": 1, "max": 3}, 3, 4),
        ({"type": "integer", "min": 1}, 1, 0),
        ({"type": "number"}, 0.5, "0.5"),
        ({"type": "number"}, 7, False),
        ({"type": "boolean"}, False, 0),
        ({"type": "enum", "choices": ["warm", "kühl"]}, "kühl", "cold"),
        ({"type": "list"}, ["a"], "a"),
        ({"type": "list"}, [], ["a", 1]),
        ({"type": "list", "min_items": 1}, ["a"], []),
        ({"type": "list", "max_items": 1}, ["a"], ["a", "b"]),
        ({"type": "list", "choices": ["a", "b"]}, ["b", "a"], ["c"]),
        ({"type": "list", "max_length": 2}, ["ab"], ["abc"]),
        ({"max_length": 2}, "雨天", "下雨天"),
        ({"pattern": "[a-z]+"}, "abc", "abc1"),
        ({"type": "integer"}, 7, {"a": 1}),
    ],
)
def test_a_value_must_be_of_the_type_and_within_the_limits(
    spec: dict[str, object], fine: object, wrong: object
) -> None:
    variables = Variables({"tone": variable(**spec)})
    assert variables.fill({"tone": fine}, {}) == {"tone": fine}
    with pytest.raises(InvalidRequest, match="the variable 'tone' ") as caught:
        variables.fill({"tone": wrong}, {})
    assert caught.value.param == "variables.tone"


def test_a_refusal_does_not_quote_the_value() -> None:
    variables = Variables({"tone": variable(type="enum", choices=["warm"])})
    with pytest.raises(InvalidRequest) as caught:
        variables.fill({"tone": "ada@example.org"}, {})
    assert "ada" not in caught.value.message + caught.value.hint
    assert "must be one of warm" in caught.value.message


def test_an_unknown_variable_is_refused_with_the_nearest_name() -> None:
    variables = Variables({"tone": variable(default="warm")})
    with pytest.raises(InvalidRequest, match="no variable 'tones'") as caught:
        variables.fill({"tones": "warm"}, {})
    assert (caught.value.hint, caught.value.param) == ("did you mean 'tone'?", "variables.tones")


def test_a_missing_variable_is_named_with_its_description() -> None:
    variables = Variables({"tone": variable(description="How it sounds.")})
    with pytest.raises(InvalidRequest, match="'tone' is missing") as caught:
        variables.fill({}, {})
    assert caught.value.hint == "How it sounds."


def test_the_request_wins_over_the_service_and_the_service_over_the_default() -> None:
    variables = Variables({"tone": variable(default="plain")})
    assert variables.fill({}, {}) == {"tone": "plain"}
    assert variables.fill({}, {"tone": "warm", "other": "x"}) == {"tone": "warm"}
    assert variables.fill({"tone": "formal"}, {"tone": "warm"}) == {"tone": "formal"}


def test_a_variable_that_is_not_required_may_be_absent() -> None:
    assert Variables({"tone": variable(required=False)}).fill({}, {}) == {"tone": None}


@pytest.mark.parametrize(
    ("name", "spec", "message"),
    [
        ("Tone", {}, "'Tone' cannot name a variable"),
        ("today", {}, "'today' cannot name a variable"),
        ("tone", {"typ": "string"}, "unknown field 'typ'"),
        ("tone", {"type": "text"}, "'text'"),
        ("tone", {"type": "enum"}, "an enum needs its choices"),
        ("tone", {"type": "string", "choices": ["a"]}, "tone.choices: means nothing"),
        ("tone", {"type": "boolean", "min": 1}, "tone.min: means nothing"),
        ("tone", {"type": "integer", "pattern": "1"}, "tone.pattern: means nothing"),
        ("tone", {"pattern": "("}, "tone.pattern: not a regular expression"),
        ("tone", {"type": "integer", "min": 3, "max": 1}, "tone.max: is below min"),
        ("tone", {"type": "list", "min_items": 200}, "tone.min_items: is above"),
        ("tone", {"type": "integer", "default": "x"}, "tone.default: the default must be"),
        ("tone", {"type": "enum", "choices": ["a"], "default": "b"}, "must be one of a"),
        ("tone", {"default": "x", "required": True}, "tone.required: "),
    ],
)
def test_a_declaration_that_cannot_work_is_found_when_it_loads(
    name: str, spec: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=rf"^t\.yaml:1: .*{message}"):
        Variable.read(node_of(spec, name), name)
