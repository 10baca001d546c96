"""The message and the variables that a command tries a template with."""

from collections.abc import Callable
from typing import TypeVar

import click
import msgspec

from headrace.errors import InvalidRequest, NotFound, did_you_mean
from headrace.prompts.file import PromptTest, VariableValue
from headrace.prompts.template import PromptTemplate

__all__ = ["case_of", "case_options"]

F = TypeVar("F", bound=Callable[..., object])


def case_options(command: F) -> F:
    """`--input`, `--var`, `--language` and `--case`."""
    for option in (
        click.option("--case", help="Take all of that from the template's test of this name."),
        click.option("--language", metavar="CODE", help="The user's language, such as zh."),
        click.option(
            "--var",
            "variables",
            multiple=True,
            metavar="NAME=VALUE",
            help="A variable's value; a list as JSON. May be given several times.",
        ),
        click.option(
            "--input", "text", default="Hello.", show_default=True, help="What the user writes."
        ),
    ):
        command = option(command)
    return command


def case_of(
    template: PromptTemplate,
    text: str,
    variables: tuple[str, ...],
    language: str | None,
    case: str | None,
) -> PromptTest:
    """The case that the options describe.

    Raises:
        NotFound: the template has no test of that name.
        InvalidRequest: a variable is not `NAME=VALUE`.
    """
    given = dict(_value(template, each) for each in variables)
    if case is None:
        return PromptTest(user=text, variables=given, language=language)
    tests = {each.name: each for each in template.file.tests}
    if case not in tests:
        raise NotFound(
            f"the template {template.name!r} has no test {case!r}",
            hint=did_you_mean(case, tests, kind="tests"),
        )
    test = tests[case]
    return msgspec.structs.replace(
        test,
        variables={**test.variables, **given},
        language=test.language if language is None else language,
    )


def _value(template: PromptTemplate, text: str) -> tuple[str, VariableValue]:
    name, found, value = text.partition("=")
    if not found:
        raise InvalidRequest(f"{text!r} is not NAME=VALUE", hint="such as --var tone=formal")
    declared = template.variables.declared.get(name)
    if declared is None or declared.spec.type in ("string", "enum"):
        return name, value
    try:
        return name, msgspec.json.decode(value, type=VariableValue)
    except msgspec.DecodeError:
        return name, value  # `fill` says what is wrong with it
