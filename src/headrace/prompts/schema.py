"""JSON Schemas of templates and their tests: right in themselves, and answers held against them."""

from typing import NoReturn

import msgspec

from headrace.config.node import Node

__all__ = ["check_schema", "misfit"]


def check_schema(node: Node, schema: dict[str, object]) -> None:
    """Raises ConfigError at the field `schema` of `node` unless it is a JSON Schema."""
    # 15 MB of code: only a service whose templates have a schema pays for it.
    from jsonschema_rs import ReferencingError, ValidationError, meta

    try:
        meta.validate(schema)
    except (ReferencingError, ValidationError, ValueError) as error:
        what = error.message if isinstance(error, ValidationError) else str(error)
        raise node.error(f"not a JSON Schema: {what}", "schema") from None


def misfit(text: str, schema: dict[str, object]) -> str | None:
    """Where a JSON text does not conform to a schema; None when it does."""
    from jsonschema_rs import RegexOptions, validator_for

    try:
        value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError):
        return "not JSON"
    # The linear-time engine: no pattern can keep it busy.
    validator = validator_for(
        schema, retriever=_refuse, pattern_options=RegexOptions(), validate_formats=False
    )
    error = next(validator.iter_errors(value), None)
    return None if error is None else f"does not conform: {error.message}"


def _refuse(uri: str) -> NoReturn:
    raise ValueError(f"references outside the schema are not followed: {uri}")
