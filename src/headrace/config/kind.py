"""The declared type of a setting, taken apart: what may stand there, and what is below it."""

import types
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin

import msgspec

__all__ = ["Key", "alternatives", "children", "is_struct", "matching", "settled"]

Key: TypeAlias = str | int
Path: TypeAlias = tuple[Key, ...]

_LISTS = (list, tuple, set, frozenset)


def alternatives(kind: object) -> list[object]:
    """The types that a value may have, each without `Annotated`."""
    origin = get_origin(kind)
    if origin is Annotated:
        return alternatives(get_args(kind)[0])
    if origin in (types.UnionType, Union):
        return [each for part in get_args(kind) for each in alternatives(part)]
    return [kind]


def is_struct(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def matching(kind: object, value: object) -> object | None:
    """The alternative that a mapping or list is read as; None if there is none, or for scalars."""
    for each in alternatives(kind):
        plain = get_origin(each) or each
        if isinstance(value, list) and plain in _LISTS:
            return each
        if isinstance(value, dict) and (
            plain is dict or (is_struct(each) and _tagged(each, value))
        ):
            return each
    return None


def _tagged(kind: object, value: dict[str, object]) -> bool:
    """Whether a struct of a tagged union is the one that the value names (or has no tag)."""
    config = kind.__struct_config__  # type: ignore[attr-defined]  # a Struct, by is_struct
    return config.tag_field is None or value.get(config.tag_field) == config.tag


def children(kind: object, value: object) -> Iterator[tuple[Key, object]]:
    """Each known part of a mapping or list, with the type declared for it."""
    found = matching(kind, value)
    arguments = get_args(found)
    if isinstance(value, dict) and isinstance(found, type) and issubclass(found, msgspec.Struct):
        for field in msgspec.structs.fields(found):
            if field.encode_name in value:
                yield field.encode_name, field.type
    elif isinstance(value, dict) and len(arguments) == 2:
        for key in value:
            yield key, arguments[1]
    elif isinstance(value, list) and arguments:
        fixed = get_origin(found) is tuple and arguments[-1] is not Ellipsis
        for i in range(min(len(value), len(arguments)) if fixed else len(value)):
            yield i, arguments[i if fixed else 0]


def settled(value: object, kind: object, read: Callable[[Path, str], object]) -> object:
    """A copy of the value, ready to convert.

    Optional fields with nothing behind them are left out, so that they get their default, and
    `read` is asked for what to put in place of a text where text is not what the type takes. It
    gets the path below the value and the text.
    """
    return _settled(value, kind, read, ())


def _settled(value: object, kind: object, read: Callable[[Path, str], object], at: Path) -> object:
    if isinstance(value, str):
        return value if _takes_text(kind) else read(at, value)
    if isinstance(value, dict):
        parts = dict(children(kind, value))
        blank = _blank_fields(kind, value)
        return {
            key: _settled(item, parts[key], read, (*at, key)) if key in parts else item
            for key, item in value.items()
            if key not in blank
        }
    if isinstance(value, list):
        copied = list(value)
        for i, part in children(kind, value):
            assert isinstance(i, int)
            copied[i] = _settled(value[i], part, read, (*at, i))
        return copied
    return value


def _blank_fields(kind: object, value: dict[str, object]) -> set[str]:
    """Optional fields with nothing behind them, which cannot be meant."""
    struct = matching(kind, value)
    if not (isinstance(struct, type) and issubclass(struct, msgspec.Struct)):
        return set()
    return {
        field.encode_name
        for field in msgspec.structs.fields(struct)
        if not field.required
        and field.encode_name in value
        and value[field.encode_name] is None
        and not any(each in (types.NoneType, Any, object) for each in alternatives(field.type))
    }


def _takes_text(kind: object) -> bool:
    """Whether a text may stand there as it is."""
    for each in alternatives(kind):
        if each in (int, float, bool, types.NoneType):
            continue
        if get_origin(each) is Literal and not any(isinstance(a, str) for a in get_args(each)):
            continue
        return True
    return False
