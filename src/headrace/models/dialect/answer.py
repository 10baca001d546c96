"""What form an answer must have (`response_format`)."""

import msgspec

from headrace.errors import InvalidRequest
from headrace.types import Params

__all__ = ["JsonAnswer", "json_answer_of"]


class JsonAnswer(msgspec.Struct, frozen=True):
    """The answer must be JSON; `schema` is None where any object will do."""

    name: str = "answer"
    schema: dict[str, object] | None = None
    description: str | None = None
    strict: bool | None = None


class _Format(msgspec.Struct):
    type: str
    json_schema: JsonAnswer | None = None


def json_answer_of(params: Params) -> JsonAnswer | None:
    """The JSON that is asked for; None for text.

    Raises:
        InvalidRequest: `response_format` is malformed or of an unknown type.
    """
    if params.response_format is None:
        return None
    try:
        read = msgspec.convert(params.response_format, _Format)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"'response_format': {error}", param="response_format") from error
    if read.type == "text":
        return None
    if read.type == "json_object":
        return JsonAnswer()
    if read.type == "json_schema" and read.json_schema is not None:
        if read.json_schema.schema is None:
            raise InvalidRequest(
                "'response_format.json_schema' has no 'schema'", param="response_format"
            )
        return read.json_schema
    raise InvalidRequest(
        f"'response_format' of type {read.type!r} is not known", param="response_format"
    )
