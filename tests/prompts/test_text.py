"""What a prompt's Jinja may do, and that all it may not do is found when the service loads."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.config.node import Node, parse_yaml
from headrace.errors import ConfigError
from headrace.prompts.text import FILTER_NAMES, Text, TextError, read_localized

NAMES = {"name", "items", "count", "nothing"}
VALUES = {"name": "Ada", "items": ["a", "b"], "count": 2, "nothing": None}


def node_of(value: object) -> Node:
    return parse_yaml(json.dumps({"system": value}), "t.yaml", {}, root=Path()).child("system")


def text_of(source: str) -> Text:
    return Text.read(node_of(source), NAMES)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("Hello {{ name }}.", "Hello Ada."),
        ("{{ name | upper }} has {{ items | length }}", "ADA has 2"),
        ("{% if count > 1 %}many{% else %}one{% endif %}", "many"),
        ("{% for each in items %}{{ loop.index }}. {{ each }}\n{% endfor %}", "1. a\n2. b"),
        ("{% for each in items %}{{ each }}{{ loop.cycle(',', '.') }}{% endfor %}", "a,b."),
        ("{% set first = items[0] %}{{ first }}{{ items | join('、') }}", "aa、b"),
        ("{{ nothing }}{% if not nothing %}!{% endif %}", "!"),
        ("{{ ['<雨>', name] | tojson }}", '["<雨>","Ada"]'),
        ("  space around  \n", "space around"),
        ("{{ '{{ name }}' }}{% raw %}{{ name }}{% endraw %}", "{{ name }}{{ name }}"),
    ],
)
def test_a_text_prints_decides_and_repeats(source: str, expected: str) -> None:
    assert text_of(source).render(VALUES) == expected


@pytest.mark.parametrize(
    "source",
    [
        "{{ name.__class__ }}",
        "{{ name.upper() }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ items.append('c') }}",
        "{{ loop.__init__ }}",
        "{{ range(9) }}",
        "{{ name() }}",
        "{{ name | attr('__class__') }}",
        "{{ name | center(100000000) }}",
        "{{ items | map('upper') | list }}",
        "{{ name * 100000000 }}",
        "{{ 9 ** 99999999 }}",
        "{{ '%99999999s' % name }}",
        "{% include 'secret' %}",
        "{% import 'x' as x %}",
        "{% extends 'x' %}",
        "{% block x %}{% endblock %}",
        "{% macro f() %}{{ f() }}{% endmacro %}",
        "{% for each in items recursive %}{{ loop(items) }}{% endfor %}",
        "{{ name is callable }}",
        "{{ self }}",
        "{{ super }}",
        "{{ loop.index }}",
        "{{ nane }}",
        "{{ name | uper }}",
        "{% if name %}",
        "{{ name",
        "{% do items.append(1) %}",
    ],
)
def test_what_a_prompt_may_not_do_is_found_when_it_loads(source: str) -> None:
    with pytest.raises(ConfigError, match=r"t\.yaml:1: system: "):
        text_of(source)


@pytest.mark.parametrize(
    "source",
    [
        "{{ name['__class__'] }}",
        "{{ name['upper'] }}",
        "{{ items['append'] }}",
        "{% set loop = name %}{{ loop.index }}",
        "{% set key = '__cl' ~ 'ass__' %}{{ name[key] }}",
        "{{ name + 1 }}",
        "{{ items[9] }}",
        "{{ 1 / 0 }}",
    ],
)
def test_what_only_shows_when_rendered_is_a_text_error_without_values(source: str) -> None:
    text = text_of(source)
    with pytest.raises(TextError) as caught:
        text.render(VALUES)
    assert "Ada" not in str(caught.value)


@given(value=st.text() | st.sampled_from(["{{ 7 * 7 }}", "{% raw %}", "{# x #}", "${HOME}"]))
def test_a_value_is_data_and_never_read_as_jinja(value: str) -> None:
    assert text_of("[{{ name }}]").render({"name": value}) == f"[{value}]"


def test_an_error_names_the_line_within_a_block_and_the_nearest_name() -> None:
    source = "system: |\n  one\n  two {{ nme }}\n"
    node = parse_yaml(source, "t.yaml", {}, root=Path()).child("system")
    with pytest.raises(ConfigError, match=r"^t\.yaml:3: system: the variable 'nme'") as caught:
        Text.read(node, NAMES)
    assert caught.value.hint == "did you mean 'name'?"


def test_every_filter_on_offer_is_documented() -> None:
    docs = (Path(__file__).parents[2] / "docs" / "prompts.md").read_text("utf-8")
    assert [name for name in FILTER_NAMES if f"`{name}`" not in docs] == []


@pytest.mark.parametrize(
    ("language", "expected"),
    [("zh", "中"), ("zh-TW", "中"), ("de", "de"), ("fr", "other"), (None, "other")],
)
def test_the_text_of_a_language_or_the_default(language: str | None, expected: str) -> None:
    texts = read_localized(node_of({"zh": "中", "de": "de", "default": "other"}), NAMES)
    assert texts.choose(language)[1].render({}) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({"zh": "中"}, "no text for other languages"),
        ({"Chinese": "中", "en": "x"}, "'Chinese' is no language"),
        ({"en": 7}, "expected text"),
        (["x"], "expected a text"),
        ({}, "no text for other languages"),
    ],
)
def test_texts_by_language_must_make_sense(value: object, message: str) -> None:
    with pytest.raises(ConfigError, match=f"(?i){message}"):
        read_localized(node_of(value), NAMES)
