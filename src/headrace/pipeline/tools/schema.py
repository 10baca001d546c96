"""JSON Schema of a tool's arguments: checked when it is read, and each call against it."""

from collections.abc import Mapping
from typing import NoReturn, Protocol

__all__ = ["ArgumentSchema", "problem_of"]

_LONGEST_WORDS = 200


class _Error(Protocol):
    message: str
    instance_path: list[str | int]


class ArgumentSchema:
    """A compiled schema."""

    def __init__(self, schema: Mapping[str, object]) -> None:
        """Raises ValueError for what is no schema, or refers to something outside itself."""
        # 15 MB of code: only a service that has tools pays for it.
        from jsonschema_rs import RegexOptions, ValidationError, validator_for

        try:
            # The linear-time engine: no pattern can stop the event loop.
            self._validator = validator_for(
                dict(schema),
                retriever=_refuse,
                pattern_options=RegexOptions(),
                validate_formats=False,
            )
        except ValidationError as error:
            raise ValueError(str(error.message)) from error

    def mistake(self, arguments: object) -> str | None:
        """The first thing wrong with a call's arguments, in words for the model."""
        error: _Error | None = next(self._validator.iter_errors(arguments), None)
        if error is None:
            return None
        where = "".join(f"[{p}]" if isinstance(p, int) else f".{p}" for p in error.instance_path)
        words = error.message[:_LONGEST_WORDS]
        return f"arguments{where}: {words}"


def problem_of(schema: Mapping[str, object]) -> str | None:
    """Why something cannot be the schema of a tool's arguments; None when it can."""
    if schema.get("type") != "object":
        return "expected a JSON Schema with `type: object`"
    try:
        ArgumentSchema(schema)
    except ValueError as error:
        return f"not a JSON Schema that can be used: {str(error)[:_LONGEST_WORDS]}"
    return None


def _refuse(uri: str) -> NoReturn:
    """A schema must not make this server fetch anything."""
    raise ValueError(f"references outside the schema are not followed: {uri}")
