"""What a msgspec validation error means, in terms of the file that the user wrote."""

import re
import types
from dataclasses import dataclass, field
from typing import Annotated, Union, get_args, get_origin

import msgspec

__all__ = ["Problem", "explain"]

_PIECE = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\[\.\.\.\]|\.\.\.")


@dataclass(slots=True)
class Problem:
    """One thing that is wrong with a value."""

    message: str
    path: tuple[str | int, ...] = ()
    found: str = ""
    hint: str = ""
    unknown: str | None = None
    """The name of an unknown field, if that is the problem."""
    known: list[str] = field(default_factory=list)


def explain(error: str, value: object, kind: type) -> Problem:
    """Read msgspec's text (`Expected … - at `$.a[0].b``) against the value and its type."""
    what, _, where = error.partition(" - at `")
    path = _path(where.rstrip("`").removeprefix("key in ").removeprefix("$"), value)
    if match := re.match(r"Object contains unknown field `(.+)`", what):
        fields = _fields_at(kind, path)
        return Problem(
            f"unknown field {match[1]!r}", (*path, match[1]), unknown=match[1], known=fields
        )
    if match := re.match(r"Object missing required field `(.+)`", what):
        return Problem(f"the field {match[1]!r} is missing", path, hint=f"add `{match[1]}: …`")
    if match := re.match(r"Invalid enum value (.+)", what):
        return Problem(f"{match[1]} is not allowed", path, hint=_allowed(kind, path))
    found = _describe(_at(value, path))
    return Problem(what.replace("`", ""), path, found=f"found {found}")


def _path(text: str, value: object) -> tuple[str | int, ...]:
    """msgspec's path, with `[...]` (any key or item) resolved to the first that is there.

    msgspec does not say which item of a list or key of a mapping failed inside a union or dict
    (`[...]`); the line of the parent is then the best that can be said.
    """
    path: list[str | int] = []
    for match in _PIECE.finditer(text):
        if match[1] is not None:
            path.append(match[1])
        elif match[2] is not None:
            path.append(int(match[2]))
        else:
            break
    return tuple(path)


def _at(value: object, path: tuple[str | int, ...]) -> object:
    for key in path:
        if (isinstance(value, dict) and key in value) or (
            isinstance(value, list) and isinstance(key, int) and key < len(value)
        ):
            value = value[key]
        else:
            return None
    return value


def _describe(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"


def _type_at(kind: object, path: tuple[str | int, ...]) -> object:
    kind = _bare(kind)
    for key in path:
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            hints = {each.encode_name: each.type for each in msgspec.structs.fields(kind)}
            kind = _bare(hints.get(str(key)))
        elif get_origin(kind) in (list, tuple):
            kind = _bare(get_args(kind)[0])
        elif get_origin(kind) is dict:
            kind = _bare(get_args(kind)[1])
        else:
            return None
    return kind


def _bare(kind: object) -> object:
    """The type without Annotated and without `| None`."""
    if get_origin(kind) is Annotated:
        return _bare(get_args(kind)[0])
    if get_origin(kind) in (types.UnionType, Union):
        rest = [arg for arg in get_args(kind) if arg is not type(None)]
        structs = [arg for arg in rest if isinstance(arg, type) and issubclass(arg, msgspec.Struct)]
        return _bare((structs or rest)[0])
    return kind


def _fields_at(kind: object, path: tuple[str | int, ...]) -> list[str]:
    found = _type_at(kind, path)
    if isinstance(found, type) and issubclass(found, msgspec.Struct):
        return [each.encode_name for each in msgspec.structs.fields(found)]
    return []


def _allowed(kind: object, path: tuple[str | int, ...]) -> str:
    values = get_args(_type_at(kind, path))
    return "allowed: " + ", ".join(str(value) for value in values) if values else ""
