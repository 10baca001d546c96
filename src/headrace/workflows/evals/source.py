"""Where the rows of a run come from: the request, an uploaded file, or a suite of the folder."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from headrace.datasets.upload import FileStore
from headrace.errors import InvalidRequest
from headrace.workflows.evals.job import EvalRun
from headrace.workflows.evals.suite import is_suite, suite_items, suite_of

__all__ = ["Row", "check_data_source", "count_rows", "read_rows"]

MOST_ROWS = 1_000_000


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a run."""

    number: int
    item: dict[str, object]
    sample: dict[str, object] = {}
    params: dict[str, object] = {}
    """Of the request that asks it, from a suite."""


class _Line(msgspec.Struct):
    item: dict[str, object]
    sample: dict[str, object] = {}


def check_data_source(source: dict[str, object], eval_id: str) -> None:
    """
    Raises:
        InvalidRequest: what cannot be run here; `param` says which field.
    """
    kind = source.get("type")
    if kind not in ("completions", "responses", "jsonl"):
        raise InvalidRequest(
            f"'data_source.type' is {kind!r}; allowed: completions, jsonl, responses",
            param="data_source.type",
        )
    if is_suite(eval_id) and kind == "jsonl":
        raise InvalidRequest("a suite of the folder is asked", param="data_source.type")
    rows = source.get("source")
    of = rows.get("type") if isinstance(rows, dict) else None
    if of not in ("file_content", "file_id"):
        raise InvalidRequest(
            f"'data_source.source.type' is {of!r}; allowed: file_content, file_id",
            hint="what was answered before is not kept for evals: upload it as a file",
            param="data_source.source",
        )
    assert isinstance(rows, dict)
    if of == "file_id":
        if not isinstance(rows.get("id"), str):
            raise InvalidRequest("the file's 'id' is missing", param="data_source.source.id")
        return
    try:
        lines = msgspec.convert(rows.get("content"), list[_Line])
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"{error}", param="data_source.source.content") from None
    if not lines and not is_suite(eval_id):
        raise InvalidRequest("there are no rows", param="data_source.source.content")


def count_rows(run: EvalRun, files: FileStore, root: Path, environ: Mapping[str, str]) -> int:
    """How many rows there are.

    Raises:
        NotFound: the file is gone.
        InvalidRequest: a line of it is no row, or there are none or too many.
    """
    total = sum(1 for _ in read_rows(run, files, root, environ))
    if not total:
        raise InvalidRequest("the file has no rows")
    if total > MOST_ROWS:
        raise InvalidRequest(f"more than {MOST_ROWS:,} rows; split the file")
    return total


def read_rows(
    run: EvalRun, files: FileStore, root: Path, environ: Mapping[str, str]
) -> Iterator[Row]:
    """The rows in order. Raises as `count_rows`."""
    source = run.data_source["source"]
    assert isinstance(source, dict)
    if source["type"] == "file_content":
        lines = msgspec.convert(source["content"], list[_Line])
        if not lines and is_suite(run.eval_id):
            yield from _suite_rows(run, root, environ)
        for number, line in enumerate(lines):
            yield Row(number=number, item=line.item, sample=line.sample)
        return
    number = 0
    decode = msgspec.json.Decoder(_Line).decode
    for at, data in enumerate(files.lines(files.get(str(source["id"]), run.key_id)), 1):
        if not data.strip():
            continue
        try:
            line = decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise InvalidRequest(f"line {at} of the file is no row: {error}") from None
        yield Row(number=number, item=line.item, sample=line.sample)
        number += 1


def _suite_rows(run: EvalRun, root: Path, environ: Mapping[str, str]) -> Iterator[Row]:
    suite = suite_of(run.eval_id, root, environ)
    params = {k: v for k, v in msgspec.to_builtins(suite.params).items() if k != "extra"}
    for number, item in enumerate(suite_items(suite)):
        asked: dict[str, object] = {"seed": suite.file.seed + number % suite.file.repeats, **params}
        if suite.file.template:
            asked["template"] = suite.file.template
        if item.get("variables"):
            asked["variables"] = item["variables"]
        if suite.file.model:
            asked["model"] = suite.file.model
        yield Row(number=number, item=item, params=asked)
