"""`{{ … }}` in a workflow: what a step is given from variables and from the steps before it.

A small part of Python's expressions: names, `.` and `[…]`, comparisons, `and`/`or`/`not`, `in`,
`+ - * / %`, `… if … else …` and a few functions. No loops, no attributes of objects, no power:
an expression ends soon and touches nothing.
"""

import ast
import operator
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

__all__ = ["Expression", "ExpressionError", "Reference", "references", "rendered"]

MOST_CHARS: Final = 1000
_BRACES = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)

Reference = tuple[str | int, ...]
"""The way to a value: `steps.train.adapter` is `("steps", "train", "adapter")`."""

_CONSTANTS: Final[dict[str, object]] = {
    "true": True, "false": False, "null": None, "none": None,
    "True": True, "False": False, "None": None,
}  # fmt: skip
_COMPARE: Final[dict[type[ast.cmpop], Callable[[object, object], object]]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,  # type: ignore[dict-item]  # a TypeError says what cannot be compared
    ast.LtE: operator.le,  # type: ignore[dict-item]
    ast.Gt: operator.gt,  # type: ignore[dict-item]
    ast.GtE: operator.ge,  # type: ignore[dict-item]
    ast.In: lambda one, many: one in many,  # type: ignore[operator]
    ast.NotIn: lambda one, many: one not in many,  # type: ignore[operator]
    ast.Is: operator.is_,
    ast.IsNot: operator.is_not,
}
_ARITHMETIC: Final[dict[type[ast.operator], Callable[[object, object], object]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Mod: operator.mod,
}
_FUNCTIONS: Final[dict[str, Callable[..., object]]] = {
    "len": len, "min": min, "max": max, "sum": sum, "str": str, "int": int, "float": float,
    "round": round, "sorted": sorted, "any": any, "all": all,
}  # fmt: skip


class ExpressionError(ValueError):
    """An expression that cannot be read, or has no value here; the message says why."""


@dataclass(frozen=True)
class Expression:
    """One expression, read and found harmless."""

    text: str

    @cached_property
    def _tree(self) -> ast.expr:
        if len(self.text) > MOST_CHARS:
            raise ExpressionError(f"the expression is longer than {MOST_CHARS} characters")
        try:
            tree = ast.parse(self.text.strip(), mode="eval").body
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            said = error.msg if isinstance(error, SyntaxError) else "it cannot be read"
            raise ExpressionError(f"{self.text.strip()!r} is no expression: {said}") from None
        for node in ast.walk(tree):
            _check(node)
        return tree

    def check(self) -> None:
        """Raises ExpressionError when the text is no expression."""
        _ = self._tree

    @property
    def references(self) -> Iterator[Reference]:
        """Every value that it looks up, each as long as it is written."""
        yield from _references(self._tree)

    def value(self, values: Mapping[str, object]) -> object:
        """What it comes to.

        Raises:
            ExpressionError: a name is unknown, or the parts do not fit together.
        """
        try:
            return _value(self._tree, values)
        except ExpressionError:
            raise
        except (TypeError, ValueError, ArithmeticError, LookupError, RecursionError) as error:
            raise ExpressionError(f"{self.text.strip()!r} has no value: {error}") from None


def references(value: object) -> Iterator[tuple[tuple[str | int, ...], Expression]]:
    """Every `{{ … }}` inside a value of a file, with the way to the text that it stands in."""
    if isinstance(value, str):
        for found in _BRACES.finditer(value):
            yield (), Expression(found[1])
    elif isinstance(value, dict):
        for key, item in value.items():
            for _, expression in references(key):
                yield (key,), expression
            for at, expression in references(item):
                yield (key, *at), expression
    elif isinstance(value, list):
        for i, item in enumerate(value):
            for at, expression in references(item):
                yield (i, *at), expression


def rendered(value: object, values: Mapping[str, object]) -> object:
    """The value with every `{{ … }}` filled in.

    A text that is one expression becomes what it comes to; within other text it is written out.

    Raises:
        ExpressionError: an expression has no value.
    """
    if isinstance(value, str):
        whole = _BRACES.fullmatch(value.strip())
        if whole is not None and "}}" not in whole[1]:
            return Expression(whole[1]).value(values)
        return _BRACES.sub(lambda found: _shown(Expression(found[1]).value(values)), value)
    if isinstance(value, dict):
        return {str(rendered(key, values)): rendered(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [rendered(item, values) for item in value]
    return value


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _check(node: ast.AST) -> None:
    allowed = (
        ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub, ast.UAdd, ast.Compare,
        ast.BinOp, ast.Constant, ast.Name, ast.Load, ast.Attribute, ast.Subscript, ast.List,
        ast.Tuple, ast.IfExp, ast.Call, *_COMPARE, *_ARITHMETIC,
    )  # fmt: skip
    if not isinstance(node, allowed):
        raise ExpressionError(f"{type(node).__name__} cannot stand in an expression")
    if isinstance(node, ast.Call) and (
        not isinstance(node.func, ast.Name) or node.func.id not in _FUNCTIONS or node.keywords
    ):
        names = ", ".join(_FUNCTIONS)
        raise ExpressionError(f"only these functions can be called: {names}")
    if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
        raise ExpressionError(f"{node.attr!r} cannot stand in an expression")
    if isinstance(node, ast.Constant) and not isinstance(
        node.value, str | int | float | bool | None
    ):
        raise ExpressionError(f"{node.value!r} cannot stand in an expression")


def _references(node: ast.AST) -> Iterator[Reference]:
    if isinstance(node, ast.Name | ast.Attribute | ast.Subscript):
        path = _path(node)
        if path is not None:
            if not (len(path) == 1 and path[0] in _CONSTANTS):
                yield path
            return
    if isinstance(node, ast.Call):
        for each in node.args:
            yield from _references(each)
        return
    for child in ast.iter_child_nodes(node):
        yield from _references(child)


def _path(node: ast.AST) -> Reference | None:
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute):
        above = _path(node.value)
        return None if above is None else (*above, node.attr)
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        above, key = _path(node.value), node.slice.value
        return (*above, key) if above is not None and isinstance(key, str | int) else None
    return None


def _value(node: ast.expr, values: Mapping[str, object]) -> object:  # noqa: C901 - one branch a kind of expression
    match node:
        case ast.Constant(value=constant):
            return constant
        case ast.Name(id=name):
            if name in values:
                return values[name]
            if name in _CONSTANTS:
                return _CONSTANTS[name]
            raise ExpressionError(f"{name!r} is not known here")
        case ast.Attribute(value=of, attr=key):
            return _item(_value(of, values), key)
        case ast.Subscript(value=of, slice=key_node):
            return _item(_value(of, values), _value(key_node, values))
        case ast.BoolOp(op=op, values=parts):
            result: object = None
            for part in parts:
                result = _value(part, values)
                if bool(result) != isinstance(op, ast.And):
                    return result
            return result
        case ast.UnaryOp(op=op, operand=operand):
            found = _value(operand, values)
            if isinstance(op, ast.Not):
                return not found
            return -found if isinstance(op, ast.USub) else +found  # type: ignore[operator]
        case ast.Compare(left=left, ops=ops, comparators=rest):
            one = _value(left, values)
            for compare, right in zip(ops, rest, strict=True):
                other = _value(right, values)
                if not _COMPARE[type(compare)](one, other):
                    return False
                one = other
            return True
        case ast.BinOp(left=left, op=op, right=right):
            one, other = _value(left, values), _value(right, values)
            if isinstance(op, ast.Mult | ast.Mod) and not (_number(one) and _number(other)):
                raise ExpressionError("only numbers can be multiplied and divided")
            return _ARITHMETIC[type(op)](one, other)
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return _value(body if _value(test, values) else orelse, values)
        case ast.List(elts=items) | ast.Tuple(elts=items):
            return [_value(each, values) for each in items]
        case ast.Call(func=ast.Name(id=name), args=arguments):
            return _FUNCTIONS[name](*(_value(each, values) for each in arguments))
    raise ExpressionError(f"{ast.dump(node)} cannot stand in an expression")


def _item(of: object, key: object) -> object:
    if isinstance(of, Mapping):
        if key in of:
            return of[key]
        known = ", ".join(map(str, of)) or "nothing"
        raise ExpressionError(f"there is no {key!r}; known: {known}")
    if isinstance(of, list) and isinstance(key, int):
        return of[key]
    raise ExpressionError(f"{key!r} cannot be looked up in a {type(of).__name__}")


def _number(value: object) -> bool:
    return isinstance(value, int | float)
