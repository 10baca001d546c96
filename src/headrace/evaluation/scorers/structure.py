"""Whether an answer is JSON that conforms to a schema."""

from collections.abc import Callable
from typing import NoReturn

import msgspec

from headrace.evaluation.scorer import Score, Scored, Scorer, Settings, Tools, only

__all__ = ["json_schema"]


def json_schema(settings: Settings, tools: Tools) -> Scorer:
    """1 when the answer is JSON that conforms to `schema`, or to the one in `file`."""
    only(settings, "schema", "file")
    if ("schema" in settings) == ("file" in settings):
        raise ValueError("say either `schema` or `file`")
    schema = settings["schema"] if "schema" in settings else _read(settings["file"], tools)
    problem = _validator(schema)

    async def score(scored: Scored) -> Score:
        found = problem(scored.answer.text)
        return Score(value=float(not found), note=found)

    return Scorer(score)


def _read(name: object, tools: Tools) -> object:
    path = (tools.root / str(name)).resolve()
    if not path.is_relative_to(tools.root.resolve()):
        raise ValueError(f"{name} lies outside the service's folder")
    try:
        return msgspec.json.decode(path.read_bytes())
    except OSError as error:
        raise ValueError(f"{name} cannot be read: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise ValueError(f"{name} is not JSON: {error}") from None


def _validator(schema: object) -> Callable[[str], str]:
    """Gives what is wrong with a text; empty when nothing is."""
    # 15 MB of code: only a suite that names the scorer pays for it.
    from jsonschema_rs import RegexOptions, ValidationError, validator_for

    if not isinstance(schema, dict | bool):
        raise ValueError("`schema` is a JSON Schema")  # noqa: TRY004  # the suite is wrong
    try:
        # The linear-time engine: a hostile pattern cannot stop the event loop.
        validator = validator_for(
            schema, retriever=_refuse, pattern_options=RegexOptions(), validate_formats=False
        )
    except (ValidationError, ValueError) as error:
        raise ValueError(f"not a JSON Schema that can be used: {error}") from None

    def problem(text: str) -> str:
        try:
            value = msgspec.json.decode(text)
        except (msgspec.DecodeError, RecursionError):
            return "not JSON"
        error = next(validator.iter_errors(value), None)
        return "" if error is None else "breaks " + "/".join(map(str, error.schema_path))

    return problem


def _refuse(uri: str) -> NoReturn:
    raise ValueError(f"references outside the schema are not followed: {uri}")
