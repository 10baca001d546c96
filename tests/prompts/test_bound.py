"""What a prompt may not do, whoever writes it and whatever is filled in."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import ConfigError, InvalidRequest
from headrace.prompts.library import PromptLibrary
from headrace.prompts.template import PromptTemplate

Load = Callable[[str], PromptTemplate]


def system_of(template: PromptTemplate, **variables: object) -> str:
    values = template.variables.fill(variables, {})
    return template.render(values, language="en", today="2031-02-03").system


LOOPS = """
variables: {l: {type: list, max_items: 10000, default: [a]}}
messages:
  system: >-
    {% for a in l %}{% for b in l %}{% for c in l %}{% for d in l %}{% set x = 1 %}{% endfor %}{% endfor %}{% endfor %}{% endfor %}
"""


def test_loops_that_would_never_end_are_stopped(template_from: Load) -> None:
    template = template_from(LOOPS)
    with pytest.raises(InvalidRequest, match="more than 50,000 steps"):
        system_of(template, l=["a"] * 200)


def test_a_loop_over_the_longest_list_goes_through(template_from: Load) -> None:
    template = template_from(
        "variables: {l: {type: list, max_items: 10000}}\n"
        "messages: {system: '{% for a in l %}{{ loop.index }}/{{ loop.length }} {% endfor %}'}"
    )
    assert system_of(template, l=["x"] * 10_000).endswith("10000/10000")


@pytest.mark.parametrize(
    "text",
    [
        "{% set b = a + a %}{% set c = b + b %}{% set d = c + c %}{{ d + d }}",
        "{% set b = a ~ a %}{% set c = b ~ b %}{% set d = c ~ c %}{{ d ~ d }}",
        "{{ a | replace('x', a) }}",
        "{{ a | list | join(a) }}",
        "{% for i in a | list %}{{ a }}{% endfor %}",
    ],
)
def test_a_short_text_does_not_become_an_endless_one(template_from: Load, text: str) -> None:
    template = template_from(
        f'variables: {{a: {{max_length: 1000000, default: x}}}}\nmessages: {{system: "{text}"}}'
    )
    with pytest.raises(InvalidRequest, match=r"more than 2,000,000 characters|50,000 steps"):
        system_of(template, a="x" * 400_000)


def test_a_long_input_is_no_mistake(template_from: Load) -> None:
    template = template_from("messages: {user: 'Q: {{ input }}'}")
    rendered = template.render({}, language=None, today="")
    assert rendered.wrap is not None
    assert len(rendered.wrap("y" * 3_000_000)) == 3_000_003


@pytest.mark.parametrize(
    "text",
    [
        "{% include 'shop' %}",
        "{% import 'shop' as s %}",
        "{% from 'shop' import x %}",
        "{% extends 'shop' %}",
        "{% macro m() %}{{ m() }}{% endmacro %}",
        "{% for a in l recursive %}{{ loop(l) }}{% endfor %}",
    ],
)
def test_nothing_includes_itself_because_nothing_includes(template_from: Load, text: str) -> None:
    with pytest.raises(ConfigError, match=r"not available in a prompt|calls are"):
        template_from(
            f'variables: {{l: {{type: list, default: [a]}}}}\nmessages: {{system: "{text}"}}'
        )


def test_a_file_that_fills_in_itself_is_filled_in_once(tmp_path: Path) -> None:
    folder = tmp_path / "prompts"
    folder.mkdir()
    (folder / "tone.txt").write_text("Be kind. ${file:tone.txt}")
    (folder / "shop.yaml").write_text("messages: {system: '${file:tone.txt}'}")
    library = PromptLibrary.load(tmp_path, {})
    assert system_of(library.get("shop")) == "Be kind. ${file:tone.txt}"


@given(
    items=st.lists(st.text(max_size=8), max_size=6),
    word=st.text(max_size=8),
)
def test_the_bounds_change_nothing_of_what_an_ordinary_text_gives(
    items: list[str], word: str
) -> None:
    from jinja2 import Environment

    from headrace.config.node import parse_yaml
    from headrace.prompts.text import Text

    source = (
        "{% for i in items if i %}{{ loop.index }}{{ i ~ word ~ 1 }}{{ i + word }}{% endfor %}"
        "{{ items | join(word) }}|{{ word | replace('a', 'b') }}"
    )
    node = parse_yaml(f'"{source}"', "t.yaml", {}, root=Path())
    ours = Text.read(node, {"items", "word"}).render({"items": items, "word": word})
    plain = Environment(trim_blocks=True, lstrip_blocks=True).from_string(source)
    assert ours == plain.render(items=items, word=word).strip()
