"""Why a value is not what its type asks for, down to the exact item.

msgspec names no key inside a mapping and gives types in its own words, so the value is walked
part by part: the first part that does not convert is the one to talk about.
"""

from dataclasses import dataclass, replace

import msgspec

from headrace.config.allowed import allowed, choices
from headrace.config.kind import Key, children, matching
from headrace.errors import did_you_mean

__all__ = ["Problem", "describe", "explain"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a value."""

    message: str
    path: tuple[Key, ...] = ()
    hint: str = ""
    wrong: str | None = None
    """The text that the message must show after it: what was found at `path`."""
    names: tuple[str, ...] = ()
    """What `path` takes instead, when it takes one of a few names."""


def explain(value: object, kind: object) -> Problem:
    """What is wrong with a value that does not convert to `kind`."""
    if isinstance(value, dict) and (problem := _misnamed(value, kind)) is not None:
        return problem
    if isinstance(value, dict | list):
        for key, part in children(kind, value):
            item = value[key]  # type: ignore[index]  # the keys come from this value
            if _reason(item, part) is not None:
                problem = explain(item, part)
                return replace(problem, path=(key, *problem.path))
        if matching(kind, value) is not None:
            return Problem((_reason(value, kind) or "").replace("`", ""))
    return Problem(f"expected {allowed(kind)}", wrong=describe(value), names=tuple(choices(kind)))


def describe(value: object) -> str:
    """What was found, in words, cut short."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…" + text[-1]


def _misnamed(value: dict[str, object], kind: object) -> Problem | None:
    """A field that the struct does not have, or lacks."""
    struct = matching(kind, value)
    if not (isinstance(struct, type) and issubclass(struct, msgspec.Struct)):
        return None
    fields = {field.encode_name: field for field in msgspec.structs.fields(struct)}
    config = struct.__struct_config__
    known = {*fields, config.tag_field} - {None} if config.tag else set(fields)
    for name in value if config.forbid_unknown_fields else ():
        if name not in known:
            hint = did_you_mean(name, fields, kind="fields")
            return Problem(f"unknown field {name!r}", (name,), hint)
    for name, field in fields.items():
        if field.required and name not in value:
            return Problem(
                f"the field {name!r} is missing", hint=f"add `{name}: …`: {allowed(field.type)}"
            )
    return None


def _reason(value: object, kind: object) -> str | None:
    """Why msgspec refuses the value, in its words."""
    try:
        msgspec.convert(value, type=kind)
    except msgspec.ValidationError as error:
        return str(error).partition(" - at `")[0]
    return None
