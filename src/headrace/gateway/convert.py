"""From decoded JSON to structs, for parts of a request whose shape depends on their `type`."""

from typing import TypeVar

import msgspec

from headrace.errors import InvalidRequest

__all__ = ["converted"]

T = TypeVar("T")


def converted(value: object, kind: type[T], where: str) -> T:
    """`value` as `kind`.

    Args:
        where: the value's place in the request, for the error.

    Raises:
        InvalidRequest: a wrong type or a missing field; `param` says which.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `$")
        field = where + path.rstrip("`")
        what = what.replace("`", "'")
        if "missing required field" in what:
            field = f"{field}.{what.rsplit(chr(39), 2)[1]}"
            raise InvalidRequest(f"missing required parameter: '{field}'", param=field) from error
        raise InvalidRequest(f"invalid value for '{field}': {what}", param=field) from error
