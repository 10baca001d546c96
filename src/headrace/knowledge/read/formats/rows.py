"""CSV and JSONL: one document a row.

Its address ends in `#row=LINE`, or `#FIELD=VALUE` with the setting `id_field`. A cell of CSV holds
at most 131,072 characters.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from hashlib import sha256
from typing import TypeAlias
from urllib.parse import quote

import msgspec

from headrace.knowledge.document import Document
from headrace.knowledge.errors import UnreadableDocument
from headrace.knowledge.read.decode import charset, decode
from headrace.knowledge.read.draft import Draft
from headrace.knowledge.read.settings import ReadSettings
from headrace.knowledge.read.source import Source

__all__ = ["read_csv", "read_jsonl"]

_Row: TypeAlias = tuple[int, dict[str, str]]
"""The line it ends on, and its cells."""

_SAMPLE = 65_536
_LONGEST_CELL = 131_072
"""Of our own: the limit of the module csv is the whole process's, and datasets raise it."""
_DELIMITERS = ",;\t|"


def read_csv(source: Source, settings: ReadSettings) -> list[Document]:
    """A document a row; the first row names the columns."""
    return _documents(source, settings, _csv_rows(source), "text/csv")


def read_jsonl(source: Source, settings: ReadSettings) -> list[Document]:
    """A document a line; each line is a JSON object."""
    return _documents(source, settings, _jsonl_rows(source), "application/jsonl")


def _csv_rows(source: Source) -> Iterator[_Row]:
    text, _ = decode(source.data, source.uri, charset(source.media_type))
    first = text[:_SAMPLE].split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=first.count)
    rows = csv.DictReader(io.StringIO(text), delimiter=delimiter, restkey="")
    try:
        for row in rows:
            yield rows.line_num, _checked(row)
    except csv.Error as error:
        raise UnreadableDocument(
            f"{source.uri}:{rows.line_num}: not CSV: {error}", hint="check its quotes"
        ) from error


def _checked(row: Mapping[str, str | None]) -> dict[str, str]:
    cells = {key: value for key, value in row.items() if key and value}
    if any(len(each) > _LONGEST_CELL for each in cells.values()):
        raise csv.Error(f"a cell is longer than {_LONGEST_CELL:,} characters")
    return cells


def _jsonl_rows(source: Source) -> Iterator[_Row]:
    text, _ = decode(source.data, source.uri, charset(source.media_type))
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            row = msgspec.json.decode(line, type=dict[str, object])
        except (msgspec.MsgspecError, RecursionError) as error:
            raise UnreadableDocument(
                f"{source.uri}:{number}: not a JSON object: {error}",
                hint="every line of a JSONL file is one object",
            ) from error
        yield number, {key: _shown(value) for key, value in row.items()}


def _shown(value: object) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _documents(
    source: Source,
    settings: ReadSettings,
    rows: Iterable[_Row],
    media_type: str,
) -> list[Document]:
    documents: dict[str, Document] = {}
    for number, row in rows:
        if not any(value.strip() for value in row.values()):
            continue
        if len(documents) == settings.max_rows:
            raise UnreadableDocument(
                f"{source.uri}: more than {settings.max_rows:,} rows",
                hint="split the file, or raise knowledge.read.max_rows",
            )
        draft = Draft()
        draft.title = row.get(settings.title_field, "")
        wanted = settings.metadata_fields
        draft.metadata = {name: row[name] for name in wanted if name in row}
        draft.block("text", _text(row, settings))
        uri = f"{source.uri}#{_name(number, row, settings)}"
        if uri in documents:  # a name that is there twice names nothing
            uri = f"{source.uri}#row={number}"
        # Of the row alone: a change of one row leaves the others as they were.
        digest = sha256(msgspec.json.encode(row, order="sorted")).hexdigest()
        documents[uri] = draft.document(source, media_type, uri, digest)
    if not documents:
        raise UnreadableDocument(f"{source.uri}: no rows in it", hint="leave it out, or fill it")
    return list(documents.values())


def _name(number: int, row: Mapping[str, str], settings: ReadSettings) -> str:
    name = row.get(settings.id_field, "").strip() if settings.id_field else ""
    return f"{settings.id_field}={quote(name)}" if name else f"row={number}"


def _text(row: Mapping[str, str], settings: ReadSettings) -> str:
    if (text := row.get(settings.text_field, "")).strip():
        return text
    return "\n".join(f"{key}: {value}" for key, value in row.items() if value.strip())
