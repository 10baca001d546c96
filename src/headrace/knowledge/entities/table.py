"""The glossary as a table: entities.csv, as spreadsheets write it.

Columns: name (needed), kind, aliases (with `;` or `|` between), description, document, readers (as
aliases); every other column is an attribute of its heading.
"""

import csv
import re
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path

import msgspec

from headrace.config.node import shown_path
from headrace.errors import ConfigError
from headrace.knowledge.entities.settings import Entity

__all__ = ["TABLE", "read_table"]

TABLE = "entities.csv"
_LISTS = ("aliases", "readers")
_COLUMNS = ("name", "kind", "aliases", "description", "document", "readers")
_MOST_BYTES = 64 * 1024 * 1024


def read_table(path: Path, known: AbstractSet[str] = frozenset()) -> Iterator[Entity]:
    """The entities of a table.

    Args:
        known: names that are taken already.

    Raises:
        ConfigError: with file and line.
    """
    if path.stat().st_size > _MOST_BYTES:
        raise ConfigError(f"{shown_path(path)}: it is larger than 64 MiB", hint="split the service")
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{shown_path(path)}: it is not UTF-8", hint="save it as CSV UTF-8"
        ) from error
    reader = csv.DictReader(text.splitlines(keepends=True), strict=True)
    seen = set(known)
    try:
        if "name" not in (reader.fieldnames or ()):
            raise _error(path, 1, "there is no column `name`")
        for row in reader:
            entity = _entity(path, reader.line_num, row)
            if entity.name in seen:
                raise _error(path, reader.line_num, f"{entity.name!r} is there twice")
            seen.add(entity.name)
            yield entity
    except csv.Error as error:
        raise _error(path, reader.line_num, str(error)) from error


def _entity(path: Path, line: int, row: dict[str, str]) -> Entity:
    if None in row:
        raise _error(path, line, "it has more fields than the first line has columns")
    cells = {name: (cell or "").strip() for name, cell in row.items()}
    fields: dict[str, object] = {}
    for name in _COLUMNS:
        cell = cells.get(name, "")
        if cell and name in _LISTS:
            fields[name] = [part.strip() for part in re.split(r"[;|；]", cell) if part.strip()]
        elif cell or name == "name":
            fields[name] = cell
    fields["attributes"] = {n: cell for n, cell in cells.items() if n not in _COLUMNS and cell}
    try:
        return msgspec.convert(fields, Entity)
    except msgspec.ValidationError as error:
        raise _error(path, line, str(error)) from error


def _error(path: Path, line: int, message: str) -> ConfigError:
    return ConfigError(
        f"{shown_path(path)}:{line}: {message}", hint=f"the columns are {', '.join(_COLUMNS)}"
    )
