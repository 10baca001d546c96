"""The sentences that stand under the fields of a settings class, for schemas and documentation."""

import ast
import inspect
import textwrap
from functools import cache

import msgspec

__all__ = ["class_doc", "field_docs"]


def class_doc(struct: type[msgspec.Struct]) -> str:
    """The class's own docstring, on one line."""
    return _one_line(struct.__doc__ or "")


@cache
def field_docs(struct: type[msgspec.Struct]) -> dict[str, str]:
    """The docstring of each field, by the name it has in YAML, on one line.

    Fields of base classes count too. A class whose source is not at hand has none.
    """
    texts: dict[str, str] = {}
    for base in reversed(struct.__mro__):
        if issubclass(base, msgspec.Struct) and base is not msgspec.Struct:
            texts |= _own_docs(base)
    encoded = {field.name: field.encode_name for field in msgspec.structs.fields(struct)}
    return {encoded[name]: text for name, text in texts.items() if name in encoded}


def _own_docs(struct: type[msgspec.Struct]) -> dict[str, str]:
    try:
        source = textwrap.dedent(inspect.getsource(struct))
    except (OSError, TypeError):
        return {}
    body = ast.parse(source).body[0]
    assert isinstance(body, ast.ClassDef)
    texts: dict[str, str] = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(text, ast.Expr)
            and isinstance(text.value, ast.Constant)
            and isinstance(text.value.value, str)
        ):
            texts[field.target.id] = _one_line(text.value.value)
    return texts


def _one_line(text: str) -> str:
    return " ".join(text.split())
