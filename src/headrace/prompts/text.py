"""Texts in Jinja: what of it a prompt may use, checked when the template loads.

A text may print variables through filters, decide (`if`), repeat (`for`) and set names of its
own. There are no attributes (but those of `loop`), no calls, no includes, no macros: what values
hold is data, and no text can reach the program behind it. Values are never read as Jinja. What one
rendering may do is bounded: see bound.py.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cache

import msgspec
from jinja2 import StrictUndefined, Template, TemplateSyntaxError, nodes
from jinja2.exceptions import TemplateError
from jinja2.filters import FILTERS
from jinja2.meta import find_undeclared_variables
from jinja2.runtime import Context, LoopContext
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.tests import TESTS

from headrace.config.node import Node
from headrace.errors import ConfigError, did_you_mean
from headrace.prompts.bound import (
    BUDGET,
    Budget,
    OutOfBounds,
    added,
    joined,
    looped,
    replaced,
    tree_of,
)

__all__ = ["FILTER_NAMES", "Localized", "Text", "TextError", "read_localized"]

FILTER_NAMES = (
    "capitalize",
    "first",
    "float",
    "int",
    "join",
    "last",
    "length",
    "list",
    "lower",
    "replace",
    "reverse",
    "round",
    "sort",
    "string",
    "title",
    "tojson",
    "trim",
    "truncate",
    "unique",
    "upper",
    "wordcount",
)
"""Jinja's filters that a prompt may use. None repeats or pads a text."""
_TEST_NAMES = (
    "boolean",
    "divisibleby",
    "eq",
    "even",
    "false",
    "ge",
    "gt",
    "in",
    "integer",
    "iterable",
    "le",
    "lower",
    "lt",
    "ne",
    "none",
    "number",
    "odd",
    "string",
    "true",
    "upper",
)
_LOOP = frozenset({"cycle", "depth", "first", "index", "index0", "last", "length", "previtem"})
_FORBIDDEN: dict[type[nodes.Node], str] = {
    nodes.Include: "include",
    nodes.Import: "import",
    nodes.FromImport: "import",
    nodes.Extends: "extends",
    nodes.Block: "block",
    nodes.Macro: "macro",
    nodes.CallBlock: "call",
    nodes.FilterBlock: "filter",
    nodes.With: "with",
    nodes.Mul: "*",
    nodes.Pow: "**",
    nodes.Mod: "%",
}
"""`*` repeats texts, `%` formats them: both make a long text out of a short one."""
_ALLOWED_HINT = "a prompt may print variables through filters, and use if, for and set"


class TextError(Exception):
    """A text cannot be rendered with these values; the message says why, without the values."""


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja without attributes: even what Jinja's own sandbox calls safe is not needed here."""

    intercepted_binops = frozenset({"+"})

    def call_binop(self, context: Context, operator: str, left: object, right: object) -> object:
        added(context, left, right)
        return super().call_binop(context, operator, left, right)

    def is_safe_attribute(self, obj: object, attr: str, value: object) -> bool:
        return isinstance(obj, LoopContext) and attr in _LOOP and bool(value is not None)


@cache
def _environment() -> _Sandbox:
    # No autoescape: the text goes to a model, not into a page.
    environment = _Sandbox(
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: "" if value is None else value,
    )
    environment.globals.clear()
    environment.filters = {name: FILTERS[name] for name in FILTER_NAMES}
    # Jinja's own writes for web pages: \\u003c for <, and every Chinese letter as an escape.
    environment.filters["tojson"] = lambda value: msgspec.json.encode(value).decode()
    environment.filters["join"] = joined
    environment.filters["replace"] = replaced
    environment.filters["headrace_looped"] = looped
    environment.tests = {name: TESTS[name] for name in _TEST_NAMES}
    return environment


@dataclass(frozen=True, slots=True)
class Text:
    """One compiled text."""

    template: Template
    source: str

    @classmethod
    def read(cls, node: Node, names: Collection[str]) -> "Text":
        """Compile the text at `node`, which may use `names`.

        Raises:
            ConfigError: not Jinja, an unknown variable, or more of Jinja than a prompt may use.
        """
        source = node.convert(str)
        environment = _environment()
        try:
            tree = environment.parse(source)
            _check(node, source, tree, names)
            return cls(environment.from_string(tree_of(tree)), source)
        except TemplateSyntaxError as error:
            raise _error(node, source, error.lineno, f"not Jinja: {error.message}") from None

    def names(self) -> set[str]:
        """The variables that the text uses."""
        return find_undeclared_variables(_environment().parse(self.source))

    def render(self, values: Mapping[str, object]) -> str:
        """The text with its values, without space around it.

        Raises:
            TextError: an operation does not fit the values (`{{ items[9] }}` of three), or it
                makes too much of them.
        """
        budget = Budget(values)
        pieces: list[str] = []
        try:
            # Jinja's `render` would gather all of it before anybody could look.
            for piece in self.template.generate({**values, BUDGET: budget}):
                budget.write(len(piece))
                pieces.append(piece)
            return "".join(pieces).strip()
        except OutOfBounds as error:
            raise TextError(str(error)) from error
        except (TemplateError, ArithmeticError, LookupError, TypeError, ValueError) as error:
            raise TextError(_without_values(error)) from error


@dataclass(frozen=True, slots=True)
class Localized:
    """A text in one or more languages."""

    by_language: Mapping[str, Text]
    default: str
    """The language for those that have no text of their own."""

    def choose(self, language: str | None) -> tuple[str, Text]:
        """The key and text for a language: its own, that of `zh` for `zh-TW`, or the default."""
        texts = self.by_language
        if language is not None:
            for key in (language, language.partition("-")[0]):
                if key in texts:
                    return key, texts[key]
        return self.default, texts[self.default]


def read_localized(node: Node, names: Collection[str]) -> Localized:
    """The text, or the texts by language, at `node`.

    Raises:
        ConfigError: no text, no default, or a text that cannot be compiled.
    """
    if isinstance(node.value, str):
        return Localized({"default": Text.read(node, names)}, "default")
    if not isinstance(node.value, dict):
        raise node.error("expected a text, or a text per language: {zh: …, default: …}")
    found = node.convert(dict[str, str])
    for key in found:
        if not _is_language(key):
            raise node.error(
                f"{key!r} is no language", key, hint="use ISO 639-1 codes (en, zh, de) or default"
            )
    default = next((key for key in ("default", "en") if key in found), None)
    if default is None:
        raise node.error(
            "there is no text for other languages", hint="add `default:` (or `en:`) beside these"
        )
    return Localized({key: Text.read(node.child(key), names) for key in found}, default)


def _is_language(key: str) -> bool:
    head, *tail = key.split("-")
    return key == "default" or (
        head.isascii()
        and head.islower()
        and len(head) in (2, 3)
        and all(part.isascii() and part.isalnum() for part in tail)
    )


def _check(node: Node, source: str, tree: nodes.Template, names: Collection[str]) -> None:
    def refuse(at: nodes.Node, message: str, hint: str = _ALLOWED_HINT) -> ConfigError:
        return _error(node, source, at.lineno, message, hint)

    for each in tree.find_all(nodes.Node):
        word = _FORBIDDEN.get(type(each))
        if word is not None:
            raise refuse(each, f"{word!r} is not available in a prompt")
        if isinstance(each, nodes.Getattr) and not _is_of_loop(each):
            raise refuse(each, f"attributes such as .{each.attr} are not available in a prompt")
        if isinstance(each, nodes.Call) and not _is_of_loop(each.node):
            raise refuse(each, "calls are not available in a prompt")
        if isinstance(each, nodes.For) and each.recursive:
            raise refuse(each, "a recursive loop is not available in a prompt")
        if isinstance(each, nodes.Filter) and each.name not in FILTER_NAMES:
            hint = did_you_mean(each.name, FILTER_NAMES, kind="filters")
            raise refuse(each, f"there is no filter {each.name!r}", hint)
        if isinstance(each, nodes.Test) and each.name not in _TEST_NAMES:
            hint = did_you_mean(each.name, _TEST_NAMES, kind="tests")
            raise refuse(each, f"there is no test {each.name!r}", hint)
        if isinstance(each, nodes.Name) and each.name in ("self", "super"):
            raise refuse(each, f"{each.name!r} is not available in a prompt")
    for name in sorted(find_undeclared_variables(tree) - set(names)):
        uses = (each for each in tree.find_all(nodes.Name) if each.name == name)
        at = next(uses, tree)
        raise refuse(
            at,
            f"the variable {name!r} is not declared",
            did_you_mean(name, names, kind="variables"),
        )


def _is_of_loop(node: nodes.Node) -> bool:
    return (
        isinstance(node, nodes.Getattr)
        and isinstance(node.node, nodes.Name)
        and node.node.name == "loop"
        and node.attr in _LOOP
    )


def _error(node: Node, source: str, line: int, message: str, hint: str = "") -> ConfigError:
    """A ConfigError at a line of the text, counted from the top of the file."""
    # A text of several lines is a block (`|`), whose first line stands below its key.
    at = node.line() + (line if "\n" in source else 0)
    return ConfigError(f"{node.file}:{at}: {node.field()}: {message}", hint=hint)


def _without_values(error: Exception) -> str:
    """What went wrong, in words that quote nothing a user wrote."""
    if isinstance(error, TemplateError):
        return "a value that is not there is used"
    return f"an operation does not fit its values ({type(error).__name__})"
