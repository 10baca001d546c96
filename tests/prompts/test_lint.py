"""What lint finds: each rule has a text that breaks it, and one that does not."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from headrace.pipeline.steps.normalize.language import identify
from headrace.prompts.library import builtin_templates
from headrace.prompts.lint import lint, lint_file
from headrace.prompts.template import PromptTemplate

Load = Callable[[str], PromptTemplate]
TESTED = "\ndescription: d\ntests: [{user: x, variables: {a: b}, expect: {contains: [x]}}]\n"
A = "variables: {a: {description: what}}\n"


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (A + "messages: {system: Hello.}" + TESTED, "unused-variable"),
        ("variables: {a: {}}\nmessages: {system: '{{ a }}'}" + TESTED, "no-description"),
        (A + "messages: {system: '{{ a }}'}\ndescription: d", "missing-default"),
        ("messages: {system: Hello.}\ndescription: d", "no-tests"),
        ("messages: {system: Hello.}\ndescription: d\ntests: [{user: x}]", "empty-test"),
        ("description: d\ntests: [{user: x, expect: {contains: [x]}}]", "no-words"),
        (A + "messages: {system: '{{ a }}'}" + TESTED, "injection-prone"),
        (
            A + "messages: {system: {en: '{{ a }}', zh: 你好。}}" + TESTED,
            "language-lacks-variable",
        ),
        (
            "messages: {system: {default: Hello., zh: Please answer every question briefly.}}",
            "language-mixed",
        ),
        ("scenario: {languages: [en, zh]}\nmessages: {system: Hi.}", "language-missing"),
        (
            "examples: [{user: Hi, assistant: A}, {user: ' hi', assistant: B}]",
            "contradictory-examples",
        ),
        (f"examples: [{{user: Hi, assistant: {'word ' * 300}}}]", "long-example"),
        ("reasoning: hidden\nexamples: [{user: Hi, assistant: A}]", "example-without-thought"),
    ],
)
def test_each_rule_finds_its_mistake(template_from: Load, text: str, rule: str) -> None:
    assert rule in {each.rule for each in lint(template_from(text), identify)}


def test_a_fenced_or_bounded_value_is_no_danger(template_from: Load) -> None:
    fenced = A + "messages:\n  system: |\n    Read:\n    <a>\n    {{ a }}\n    </a>" + TESTED
    short = "variables: {a: {description: d, max_length: 80}}\nmessages: {system: '{{ a }}'}"
    assert lint(template_from(fenced), identify) == []
    assert lint(template_from(short + TESTED), identify) == []


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("messages: {system: '{{ x }}'}", "undeclared-variable"),
        ("messages: {system: '{{ today | xmlattr }}'}", "unsafe-filter"),
        ("messages: {system: '{{ today.year }}'}", "unsafe-jinja"),
        ("messages: {sytem: x}", "does-not-load"),
        ("examples: {from: data/none.jsonl}", "broken-dataset"),
    ],
)
def test_a_file_that_does_not_load_is_one_error(tmp_path: Path, text: str, rule: str) -> None:
    path = tmp_path / "shop.yaml"
    path.write_text(text)
    (found,) = lint_file(path, tmp_path, os.environ, identify)
    assert (found.rule, found.level) == (rule, "error")


@pytest.mark.parametrize("name", sorted(builtin_templates()))
def test_the_built_in_templates_have_nothing_to_complain_about(name: str) -> None:
    template = builtin_templates()[name]
    assert lint(template, identify) == []
    assert {"en", "zh"} <= {test.language for test in template.file.tests}
