"""Templates as files: what loads, what is refused and where, and what a version is."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from headrace.errors import ConfigError, NotFound
from headrace.prompts.file import (
    ExampleEntry,
    Expectation,
    PromptFile,
    PromptTest,
    Scenario,
    VariableSpec,
)
from headrace.prompts.library import PromptLibrary
from headrace.prompts.template import PromptTemplate

Load = Callable[[str], PromptTemplate]

FULL = """\
description: Answers customers of one shop.
scenario: {task: support, languages: [en, zh], audience: customers}
variables:
  shop: {description: The shop's name.}
  tone: {type: enum, choices: [warm, formal], default: warm}
messages:
  system:
    en: You answer customers of {{ shop }} in a {{ tone }} tone.
    zh: 你为{{ shop }}的顾客解答问题。
  user: "Question: {{ input }}"
examples:
  - user: Do you ship abroad?
    assistant: Yes, within the EU.
    reasoning: Shipping is EU only.
  - {user: 你们发货到国外吗？, assistant: 可以，欧盟境内。, language: zh}
reasoning:
  form: hidden
  marker: "Reply:"
params: {temperature: 0.2, max_tokens: 200, stop: ["###"]}
requires: {context_tokens: 2048}
tests:
  - name: It stays with the shop
    user: Who won the cup?
    variables: {shop: Acme}
    expect: {excludes: [cup], language: en}
"""


def test_a_full_file_loads(template_from: Load) -> None:
    template = template_from(FULL)
    assert template.name == "shop"
    assert template.description == "Answers customers of one shop."
    assert template.version == f"shop@{template.digest[7:19]}"
    assert (template.params.temperature, template.params.max_tokens) == (0.2, 200)
    assert template.file.tests[0].expect.excludes == ["cup"]


def test_an_empty_file_is_a_template_without_words(template_from: Load) -> None:
    template = template_from("description: Nothing but the conversation.\n")
    assert template.render({}, language=None, today="").system == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a", "prompts/shop.yaml:1: a prompt template is a mapping"),
        ("descriptoin: x", "prompts/shop.yaml:1: descriptoin: unknown field"),
        ("messages: {sytem: x}", "unknown field 'sytem'"),
        ("messages: {system: 7}", "prompts/shop.yaml:1: messages.system: expected"),
        ("messages: {user: hello}", "messages.user: the text leaves out what the user wrote"),
        (
            "messages:\n  system: |\n    a\n    {{ x }}",
            "shop.yaml:4: messages.system: the variable",
        ),
        ("messages:\n  system: '{% if %}'", "shop.yaml:2: messages.system: not Jinja"),
        ("messages: {system: '{{ input }}'}", "the variable 'input' is not declared"),
        ("variables: [a]", "variables: expected a mapping"),
        ("variables:\n  a: {type: strin}", "shop.yaml:2: variables.a"),
        ("examples: {user: x}", "examples.user: unknown field"),
        ("examples:\n  - user: x", "shop.yaml:2: examples[0]"),
        ("examples:\n  - {user: x, assistant: y, laguage: zh}", "examples[0]"),
        ("reasoning: secret", "shop.yaml:1: reasoning"),
        ("reasoning: {form: hidden, marker: ''}", "reasoning.marker: '' cannot mark an answer"),
        ("reasoning: {form: hidden, marker: '# A:'}", "cannot mark an answer"),
        (
            "reasoning: {form: hidden, marker: {zh: '答：', default: '回答：'}}",
            "is part of the marker",
        ),
        ("reasoning: {form: hidden, instruction: '{{ mark }}'}", "'mark' is not declared"),
        ("output: {schema: {type: strange}}", "output.schema: not a JSON Schema"),
        ("output: {schema: {$ref: 'https://example.org/x'}, x: 1}", "output.x: unknown field"),
        ("output: {schema: {}}\nreasoning: hidden", "output: an answer in JSON has no room"),
        ("params: {temperature: 3}", "params.temperature"),
        ("params: {temprature: 1}", "params.temprature: unknown field"),
        ("requires: {context_tokens: 0}", "requires.context_tokens"),
        ("tests:\n  - {user: x, variables: {a: 1}}", "tests[0].variables: the template has no"),
        ("tests:\n  - {user: x, expect: {matches: '('}}", "tests[0].expect.matches: not a regular"),
        (
            "variables: {n: {type: integer, default: 0}}\nmessages: {system: '{{ 1 / n }}'}",
            "messages.system: cannot be rendered",
        ),
        (
            "variables: {l: {type: list}}\nmessages: {system: '{{ l[0] }}'}\ntests: [{user: x, variables: {l: []}}]",
            "messages.system: cannot be rendered",
        ),
        ("messages: {system: '${NOT_SET_ANYWHERE}'}", "NOT_SET_ANYWHERE is not set"),
    ],
)
def test_what_is_wrong_is_found_when_it_loads(template_from: Load, text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        template_from(text)
    assert message in caught.value.message


def test_an_unknown_template_names_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="no prompt template 'asistant'") as caught:
        PromptLibrary.load(tmp_path, {}).get("asistant")
    assert (caught.value.hint, caught.value.param) == ("did you mean 'assistant'?", "template")


def test_a_file_wins_over_the_built_in_template_of_its_name(tmp_path: Path) -> None:
    before = PromptLibrary.load(tmp_path, {})
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts" / "assistant.yaml").write_text("messages: {system: Mine.}")
    after = PromptLibrary.load(tmp_path, {})
    assert after.names() == before.names()
    assert after.get("assistant").digest != before.get("assistant").digest
    assert after.get("step_by_step").digest == before.get("step_by_step").digest


def test_a_file_may_name_its_template_and_no_two_files_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "prompts"
    folder.mkdir()
    (folder / "a.yaml").write_text("name: support\nmessages: {system: A.}")
    assert PromptLibrary.load(tmp_path, {}).get("support").name == "support"
    for other, said in (("support", "is in .*a.yaml already"), ("Support", "in case only")):
        (folder / "b.yaml").write_text(f"description: d\nname: {other}\n")
        with pytest.raises(ConfigError, match=said):
            PromptLibrary.load(tmp_path, {})


@pytest.mark.parametrize("name", ["a b", "../x", "", "-x", "x" * 101, "a@b"])
def test_what_cannot_name_a_template(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "prompts"
    folder.mkdir()
    (folder / "a.yaml").write_text(f"name: '{name}'\n")
    if name:
        with pytest.raises(ConfigError, match="cannot name a template"):
            PromptLibrary.load(tmp_path, {})
    else:
        assert PromptLibrary.load(tmp_path, {}).get("a").name == "a"


def test_a_built_in_template_can_be_named_where_a_file_hides_it(tmp_path: Path) -> None:
    folder = tmp_path / "prompts"
    folder.mkdir()
    (folder / "summarise.yaml").write_text("messages: {system: Mine.}")
    library = PromptLibrary.load(tmp_path, {})
    assert library.get("builtin/summarise").digest != library.get("summarise").digest
    assert library.get("builtin/translate") is library.get("translate")
    with pytest.raises(NotFound) as caught:
        library.get("builtin/sumarise")
    assert caught.value.hint == "did you mean 'builtin/summarise'?"


def test_renaming_is_no_new_version(tmp_path: Path) -> None:
    folder = tmp_path / "prompts"
    folder.mkdir()
    (folder / "a.yaml").write_text("messages: {system: x}")
    (folder / "b.yaml").write_text("name: other\nmessages: {system: x}")
    library = PromptLibrary.load(tmp_path, {})
    assert library.get("a").digest == library.get("other").digest


def test_the_digest_is_of_the_meaning_not_of_the_writing(template_from: Load) -> None:
    one = template_from("description: A\nparams: {temperature: 1, top_p: 0.5}\n")
    other = template_from("# why\nparams:\n  top_p: 0.5\n  temperature: 1.0\ndescription: 'A'\n")
    assert one.digest == other.digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("warm tone", "kind tone"),
        ("你为", "您为"),
        ("Question:", "Q:"),
        ("within the EU", "worldwide"),
        ("Reply:", "Answer:"),
        ("form: hidden", "form: shown"),
        ("0.2", "0.3"),
        ("2048", "4096"),
        ("default: warm", "default: formal"),
    ],
)
def test_every_change_of_meaning_is_a_new_version(template_from: Load, old: str, new: str) -> None:
    changed = FULL.replace(old, new) if old != "warm tone" else FULL.replace("tone.", "way.")
    assert changed != FULL
    assert template_from(changed).digest != template_from(FULL).digest


def test_the_order_of_a_schemas_properties_is_part_of_the_version(template_from: Load) -> None:
    text = "output: {{schema: {{type: object, properties: {{{}}}}}}}"
    one = template_from(text.format("a: {type: string}, b: {type: string}"))
    other = template_from(text.format("b: {type: string}, a: {type: string}"))
    assert one.digest != other.digest


def test_the_digest_of_a_file_stays_the_same_from_release_to_release(template_from: Load) -> None:
    text = "description: A\nmessages: {system: Hello.}\nparams: {temperature: 1}\n"
    assert template_from(text).version == "shop@41d474edb980"


def test_the_example_of_the_docs_is_what_they_say(template_from: Load, tmp_path: Path) -> None:
    docs = (Path(__file__).parents[2] / "docs" / "prompts.md").read_text("utf-8")
    example = docs.split("```yaml\n")[1].split("```")[0]
    template_from(example)
    (tmp_path / "prompts" / "support.yaml").write_text(example, encoding="utf-8")
    template = PromptLibrary.load(tmp_path, {}).get("support")
    assert f"`{template.version}`" in docs
    values = template.variables.fill({"shop": "Acme"}, {})
    system = template.render(values, language="en", today="").system
    assert system.replace("\n", "\n          ") in docs


def test_every_field_of_the_format_is_documented() -> None:
    docs = (Path(__file__).parents[2] / "docs" / "prompts.md").read_text("utf-8")
    structs = (PromptFile, VariableSpec, Scenario, ExampleEntry, PromptTest, Expectation)
    names = {each.name for struct in structs for each in msgspec.structs.fields(struct)}
    assert [name for name in sorted(names) if f"`{name}" not in docs] == []
