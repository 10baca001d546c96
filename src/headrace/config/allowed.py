"""What a setting takes, in words: for errors and for the table of settings."""

from typing import Final

from msgspec import inspect

__all__ = ["allowed", "choices"]

_WORDS: Final[dict[type[inspect.Type], tuple[str, str]]] = {
    inspect.BoolType: ("true or false", "truth values"),
    inspect.IntType: ("a whole number", "whole numbers"),
    inspect.FloatType: ("a number", "numbers"),
    inspect.StrType: ("text", "texts"),
    inspect.AnyType: ("anything", "anything"),
}


def allowed(kind: object) -> str:
    """What a value of this type may be: "a whole number from 0 to 65535"."""
    return _words(inspect.type_info(kind), 0)


def choices(kind: object) -> list[str]:
    """The names that an enumerated setting takes; empty for any other type."""
    info = inspect.type_info(kind)
    found: list[str] = []
    for part in info.types if isinstance(info, inspect.UnionType) else (info,):
        if isinstance(part, inspect.LiteralType):
            found += [str(value) for value in part.values]
        elif isinstance(part, inspect.EnumType):
            found += [str(member.value) for member in part.cls]
    return found


def _words(info: inspect.Type, many: int) -> str:
    """`many` is 1 where the words name the items of a list or mapping."""
    if isinstance(info, inspect.Metadata):
        return _words(info.type, many)
    if isinstance(info, inspect.UnionType):
        parts = [part for part in info.types if not isinstance(part, inspect.NoneType)]
        return " or ".join(_words(part, many) for part in parts)
    if isinstance(info, inspect.LiteralType | inspect.EnumType):
        values = info.values if isinstance(info, inspect.LiteralType) else list(info.cls)
        return _listed([repr(getattr(value, "value", value)) for value in values])
    if isinstance(info, inspect.DictType):
        return ("mappings" if many else "a mapping") + " to " + _words(info.value_type, 1)
    if isinstance(info, inspect.CollectionType):
        return ("lists" if many else "a list") + " of " + _words(info.item_type, 1)
    if isinstance(info, inspect.TupleType):
        return f"{'lists' if many else 'a list'} of {len(info.item_types)} values"
    if isinstance(info, inspect.NoneType):
        return "nothing"
    if info == inspect.CustomType(object):
        return "anything"
    words = _WORDS.get(type(info), ("a mapping", "mappings"))[many]
    return words + _limits(info)


def _limits(info: inspect.Type) -> str:
    if isinstance(info, inspect.StrType):
        if info.pattern is not None:
            return f" that matches {info.pattern}"
        return f" of at least {info.min_length} characters" if info.min_length else ""
    if not isinstance(info, inspect.IntType | inspect.FloatType):
        return ""
    if info.ge is not None and info.le is not None:
        return f" from {_plain(info.ge)} to {_plain(info.le)}"
    bounds = (
        ("of at least", info.ge),
        ("above", info.gt),
        ("of at most", info.le),
        ("below", info.lt),
    )
    said = [f"{word} {_plain(bound)}" for word, bound in bounds if bound is not None]
    return " " + " and ".join(said) if said else ""


def _plain(number: float) -> str:
    return str(int(number)) if number == int(number) else str(number)


def _listed(values: list[str]) -> str:
    return values[0] if len(values) == 1 else f"{', '.join(values[:-1])} or {values[-1]}"
