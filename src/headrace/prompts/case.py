"""The tests of a template, read with their lines and tried as far as that goes without a model."""

import re
from collections.abc import Mapping

from headrace.config.node import Node
from headrace.errors import InvalidRequest
from headrace.prompts.file import PromptTest
from headrace.prompts.schema import check_schema
from headrace.prompts.template import PromptTemplate
from headrace.prompts.text import TextError
from headrace.prompts.variable import Value

__all__ = ["try_template"]

_SAMPLE_DATE = "2000-01-01"


def try_template(node: Node, template: PromptTemplate, *, trusted: bool) -> None:
    """Render every text with the defaults, where those suffice, and with each test's values.

    Args:
        trusted: schemas are known to be right, so that what checks them need not be loaded.

    Raises:
        ConfigError: a test that cannot be meant, a text that cannot be rendered.
    """
    names: dict[str, int] = {}
    for at, test in enumerate(template.file.tests):
        _check(node, at, test, trusted=trusted)
        if test.name and names.setdefault(test.name, at) != at:
            first = node.line("tests", names[test.name])
            raise node.error(
                f"a test of that name stands in line {first} already", "tests", at, "name"
            )
        try:
            values = template.variables.fill(test.variables, {})
        except InvalidRequest as error:
            raise node.error(error.message, "tests", at, "variables", hint=error.hint) from None
        _render_all(node, template, values)
    if not any(each.required for each in template.variables.declared.values()):
        _render_all(node, template, template.variables.fill({}, {}))


def _check(node: Node, at: int, test: PromptTest, *, trusted: bool) -> None:
    if test.expect.matches is not None:
        try:
            re.compile(test.expect.matches)
        except re.error as error:
            raise node.error(
                f"not a regular expression: {error}", "tests", at, "expect", "matches"
            ) from None
    if test.expect.schema is not None and not trusted:
        check_schema(node.child("tests", at, "expect"), test.expect.schema)
    if len(test.history) % 2:
        raise node.error(
            "earlier messages come in pairs: the user's, then the assistant's",
            "tests",
            at,
            "history",
        )


def _render_all(node: Node, template: PromptTemplate, values: Mapping[str, Value]) -> None:
    words = {**values, "language": "en", "today": _SAMPLE_DATE, "marker": "", "input": "Hello."}
    form = template.reasoning
    longer = template.map_reduce
    for path, localized in (
        (("messages", "system"), template.system),
        (("messages", "user"), template.user),
        (("reasoning", "instruction"), form.instruction if form is not None else None),
        (("map_reduce", "part"), longer.part if longer is not None else None),
    ):
        for text in localized.by_language.values() if localized is not None else ():
            try:
                text.render(words)
            except TextError as error:
                raise node.error(f"cannot be rendered: {error}", *path) from None
