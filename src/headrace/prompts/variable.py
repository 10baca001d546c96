"""A template's variables: what they may hold, and the values that one turn gives them."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

from headrace.config.node import Node
from headrace.errors import InvalidRequest, did_you_mean
from headrace.prompts.file import VariableSpec, VariableValue

__all__ = ["RESERVED", "Variable", "Variables"]

RESERVED = frozenset({"input", "language", "loop", "marker", "today"})
"""Names that Headrace fills in itself."""
_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")
_SHOWN = 60
"""Characters of an unknown name that an error repeats."""
_WORDS = {
    "string": "a text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "enum": "a text",
    "list": "a list of texts",
}
Value: TypeAlias = VariableValue | None


@dataclass(frozen=True, slots=True)
class Variable:
    """One declared variable."""

    name: str
    spec: VariableSpec
    required: bool
    pattern: re.Pattern[str] | None

    @classmethod
    def read(cls, node: Node, name: str) -> "Variable":
        """The variable declared at `node`.

        Raises:
            ConfigError: a name that cannot be one, limits that do not fit the type, a default that
                the variable itself would refuse.
        """
        if not _NAME.match(name) or name in RESERVED:
            raise node.error(
                f"{name!r} cannot name a variable",
                hint="use small letters, digits and _, but none of: " + ", ".join(sorted(RESERVED)),
            )
        spec = (node.empty() if node.value is None else node).convert(VariableSpec)
        _check_limits(node, spec)
        pattern = None
        if spec.pattern is not None:
            try:
                pattern = re.compile(spec.pattern)
            except re.error as error:
                raise node.error(f"not a regular expression: {error}", "pattern") from None
        required = spec.default is None if spec.required is None else spec.required
        if required and spec.default is not None:
            raise node.error(
                "a required variable has no default", "required", hint="remove one of the two"
            )
        variable = cls(name, spec, required, pattern)
        if spec.default is not None and (wrong := variable.problem(spec.default)):
            raise node.error(f"the default {wrong}", "default")
        return variable

    def problem(self, value: object) -> str | None:
        """Why the value is refused, as in `must be …`; None when it is fine."""
        spec = self.spec
        if not _has_type(value, spec.type):
            return f"must be {_WORDS[spec.type]}, not {_kind(value)}"
        if isinstance(value, str):
            return self._text_problem(value)
        if isinstance(value, list):
            if not spec.min_items <= len(value) <= spec.max_items:
                return f"must have {spec.min_items} to {spec.max_items} items, not {len(value)}"
            return next((wrong for each in value if (wrong := self._text_problem(each))), None)
        if isinstance(value, bool):
            return None
        assert isinstance(value, int | float)
        if spec.min is not None and value < spec.min:
            return f"must be at least {spec.min:g}"
        if spec.max is not None and value > spec.max:
            return f"must be at most {spec.max:g}"
        return None

    def _text_problem(self, text: str) -> str | None:
        spec = self.spec
        if spec.choices is not None and text not in spec.choices:
            return f"must be one of {', '.join(spec.choices)}"
        if len(text) > spec.max_length:
            return f"has {len(text)} characters; at most {spec.max_length}"
        if self.pattern is not None and self.pattern.fullmatch(text) is None:
            return f"must match {spec.pattern}"
        return None


class Variables:
    """All variables of one template."""

    def __init__(self, declared: Mapping[str, Variable]) -> None:
        self.declared = declared
        self._defaults: dict[str, Value] = {
            name: each.spec.default for name, each in declared.items()
        }

    def fill(self, given: Mapping[str, object], service: Mapping[str, Value]) -> dict[str, Value]:
        """A value for each variable: the request's over the service's over the default.

        Args:
            given: the request's; checked here.
            service: the service's own, checked when it loaded; those that are not this template's,
                or that it means otherwise, are ignored.

        Raises:
            InvalidRequest: one that is unknown, missing, or not of its type; never quotes a value.
        """
        values = self._defaults.copy()
        for name, fixed in service.items():
            declared = self.declared.get(name)
            if declared is not None and declared.problem(fixed) is None:
                values[name] = fixed
        for name, value in given.items():
            variable = self.declared.get(name)
            if variable is None:
                shown = name[:_SHOWN]
                raise InvalidRequest(
                    f"the template has no variable {shown!r}",
                    hint=did_you_mean(shown, self.declared, kind="variables"),
                    param=f"variables.{shown}",
                )
            if wrong := variable.problem(value):
                raise InvalidRequest(
                    f"the variable {name!r} {wrong}",
                    hint=variable.spec.description,
                    param=f"variables.{name}",
                )
            values[name] = value  # type: ignore[assignment]  # `problem` has looked at its type
        for name, variable in self.declared.items():
            if values[name] is None and variable.required:
                raise InvalidRequest(
                    f"the variable {name!r} is missing",
                    hint=variable.spec.description or f'send `"variables": {{"{name}": …}}`',
                    param=f"variables.{name}",
                )
        return values


def _has_type(value: object, kind: str) -> bool:
    if kind == "boolean":
        return isinstance(value, bool)
    if kind == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    if kind == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "list":
        return isinstance(value, list) and all(isinstance(each, str) for each in value)
    return isinstance(value, str)


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a text"
    return "a list" if isinstance(value, list) else "an object"


_LIMITS = {
    "choices": ("enum", "list"),
    "min": ("integer", "number"),
    "max": ("integer", "number"),
    "pattern": ("string", "list"),
}


def _check_limits(node: Node, spec: VariableSpec) -> None:
    for limit, kinds in _LIMITS.items():
        if getattr(spec, limit) is not None and spec.type not in kinds:
            raise node.error(
                f"means nothing for type {spec.type!r}", limit, hint=f"it is for {', '.join(kinds)}"
            )
    if spec.type == "enum" and not spec.choices:
        raise node.error("an enum needs its choices", hint="add `choices: [first, second]`")
    if spec.min is not None and spec.max is not None and spec.min > spec.max:
        raise node.error(f"is below min ({spec.min:g})", "max")
    if spec.min_items > spec.max_items:
        raise node.error(f"is above max_items ({spec.max_items})", "min_items")
