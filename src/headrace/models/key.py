"""The key of a deployment that names none: the variable that the provider's own pages use.

So that `export OPENAI_API_KEY=…` and `backend: openai` are enough, as with the provider's own SDK.
"""

from collections.abc import Mapping
from typing import TypeVar

import msgspec

__all__ = ["with_key"]

S = TypeVar("S", bound=msgspec.Struct)


def with_key(settings: S, backend: object, environ: Mapping[str, str]) -> S:
    """The settings, with `api_key` filled in where they have that field and it is empty.

    A backend says which variable in `key_variable`; its constructor refuses settings without a key
    that it cannot do without.
    """
    variable = getattr(backend, "key_variable", "")
    if not variable or "api_key" not in settings.__struct_fields__:
        return settings
    if getattr(settings, "api_key"):  # noqa: B009 - the type says nothing of its fields
        return settings
    value = environ.get(variable, "").strip()
    return msgspec.structs.replace(settings, api_key=value) if value else settings
