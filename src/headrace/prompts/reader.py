"""From a file to a template: everything that can be wrong with one is found here, at load."""

import hashlib
import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from headrace.config.node import Node
from headrace.errors import InvalidRequest
from headrace.prompts.example import Examples
from headrace.prompts.file import (
    ExampleEntry,
    MessageTexts,
    OutputSpec,
    PromptFile,
    PromptTest,
)
from headrace.prompts.reasoning import Reasoning, read_reasoning
from headrace.prompts.template import PromptTemplate
from headrace.prompts.text import Localized, TextError, read_localized
from headrace.prompts.variable import Value, Variable, Variables
from headrace.types import Params

__all__ = ["read_template"]

S = TypeVar("S", bound=msgspec.Struct)

_BY_PART = ("variables", "messages", "examples", "reasoning", "output", "tests")
"""Read part by part, so that an error points at the line."""
_SAMPLE_DATE = "2000-01-01"


def read_template(node: Node, name: str) -> PromptTemplate:
    """The template in a file.

    Raises:
        ConfigError: says file, line and field.
    """
    if not isinstance(node.value, dict):
        raise node.error("a prompt template is a mapping", hint="see docs/prompts.md")
    file = node.without(*_BY_PART).convert(PromptFile)
    variables = Variables(
        {key: Variable.read(node.child("variables", key), key) for key in _keys(node, "variables")}
    )
    names = {*variables.declared, "language", "today"}
    texts, system, user = _messages(node, names)
    reasoning = None
    if node.value.get("reasoning") is not None:
        reasoning = read_reasoning(node.child("reasoning"), names)
    file = msgspec.structs.replace(
        file,
        variables={key: each.spec for key, each in variables.declared.items()},
        messages=texts,
        examples=_items(node, "examples", ExampleEntry),
        reasoning="none" if reasoning is None else reasoning.spec,
        output=_output(node, reasoning),
        tests=_items(node, "tests", PromptTest),
    )
    template = PromptTemplate(
        name=name,
        digest=_digest(file),
        file=file,
        variables=variables,
        system=system,
        user=user,
        examples=Examples(tuple(file.examples)),
        reasoning=reasoning,
        params=_params(name, file),
    )
    _try(node, template)
    return template


def _keys(node: Node, part: str) -> list[str]:
    """The names in a mapping, which may be absent."""
    assert isinstance(node.value, dict)
    value = node.value.get(part)
    if value is None:
        return []
    if not isinstance(value, dict):
        raise node.error("expected a mapping by name", part)
    return list(value)


def _items(node: Node, part: str, kind: type[S]) -> list[S]:
    """The entries of a list, which may be absent."""
    assert isinstance(node.value, dict)
    value = node.value.get(part)
    if value is None:
        return []
    if not isinstance(value, list):
        raise node.error("expected a list", part, hint="write each entry behind `- `")
    return [node.child(part, at).convert(kind) for at in range(len(value))]


def _messages(
    node: Node, names: set[str]
) -> tuple[MessageTexts, Localized | None, Localized | None]:
    """The texts as written, and the system and user texts compiled."""
    if not _keys(node, "messages"):
        return MessageTexts(), None, None
    at = node.child("messages")
    texts = at.convert(MessageTexts)
    system = user = None
    if texts.system is not None:
        system = read_localized(at.child("system"), names)
    if texts.user is not None:
        user = read_localized(at.child("user"), {*names, "input"})
        for text in user.by_language.values():
            if "input" not in text.names():
                raise at.error(
                    "the text leaves out what the user wrote", "user", hint="add {{ input }} to it"
                )
    return texts, system, user


def _output(node: Node, reasoning: Reasoning | None) -> OutputSpec | None:
    if not _keys(node, "output"):
        return None
    # 15 MB of code: only a service whose templates have a schema pays for it.
    from jsonschema_rs import ReferencingError, ValidationError, meta

    at = node.child("output")
    output = at.convert(OutputSpec)
    try:
        meta.validate(output.schema)
    except (ReferencingError, ValidationError, ValueError) as error:
        what = error.message if isinstance(error, ValidationError) else str(error)
        raise at.error(f"not a JSON Schema: {what}", "schema") from None
    if reasoning is not None:
        raise at.error(
            "an answer in JSON has no room for a thought before it",
            hint="leave out `reasoning`, and make the thought the schema's first property",
        )
    return output


def _params(name: str, file: PromptFile) -> Params:
    params = Params(**msgspec.structs.asdict(file.params))
    if file.output is None:
        return params
    schema: dict[str, object] = {"name": name, "schema": file.output.schema, "strict": True}
    return msgspec.structs.replace(
        params, response_format={"type": "json_schema", "json_schema": schema}
    )


def _digest(file: PromptFile) -> str:
    """SHA-256 over canonical JSON: what is not said does not count, and neither does order."""
    plain = msgspec.to_builtins(file)
    # A model writes a schema's properties in their order, so there order does count.
    if file.output is not None:
        plain["output"]["schema"] = msgspec.json.encode(file.output.schema).decode()
    if "params" in plain:
        said = {key: value for key, value in plain["params"].items() if value not in (None, {})}
        plain["params"] = said
    return "sha256:" + hashlib.sha256(msgspec.json.encode(plain, order="sorted")).hexdigest()


def _try(node: Node, template: PromptTemplate) -> None:
    """Render every text with the defaults, where those suffice, and with each test's values."""
    for at, test in enumerate(template.file.tests):
        if test.expect.matches is not None:
            try:
                re.compile(test.expect.matches)
            except re.error as error:
                raise node.error(
                    f"not a regular expression: {error}", "tests", at, "expect", "matches"
                ) from None
        try:
            values = template.variables.fill(test.variables, {})
        except InvalidRequest as error:
            raise node.error(error.message, "tests", at, "variables", hint=error.hint) from None
        _render_all(node, template, values)
    if not any(each.required for each in template.variables.declared.values()):
        _render_all(node, template, template.variables.fill({}, {}))


def _render_all(node: Node, template: PromptTemplate, values: Mapping[str, Value]) -> None:
    words = {**values, "language": "en", "today": _SAMPLE_DATE, "marker": "", "input": "Hello."}
    form = template.reasoning
    for path, localized in (
        (("messages", "system"), template.system),
        (("messages", "user"), template.user),
        (("reasoning", "instruction"), form.instruction if form is not None else None),
    ):
        for text in localized.by_language.values() if localized is not None else ():
            try:
                text.render(words)
            except TextError as error:
                raise node.error(f"cannot be rendered: {error}", *path) from None
