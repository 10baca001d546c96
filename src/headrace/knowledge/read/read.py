"""The one front of all readers: which format a source is in, and its documents."""

from collections.abc import Callable
from functools import cache
from importlib.metadata import entry_points
from pathlib import PurePosixPath
from typing import TypeAlias
from urllib.parse import urlsplit

from headrace.errors import did_you_mean
from headrace.knowledge.document import Document
from headrace.knowledge.errors import UnreadableDocument
from headrace.knowledge.read.settings import ReadSettings
from headrace.knowledge.read.source import Source

__all__ = ["Reader", "read"]

Reader: TypeAlias = Callable[[Source, ReadSettings], list[Document]]

_MEDIA_TYPES = {
    "text/html": "html",
    "application/xhtml+xml": "html",
    "application/pdf": "pdf",
    "text/markdown": "md",
    "text/plain": "txt",
    "text/csv": "csv",
    "application/jsonl": "jsonl",
    "application/x-ndjson": "jsonl",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
}
_SIGNS = ((b"%PDF-", "pdf"), (b"PK\x03\x04", "docx"))
_PACKED = frozenset({"pdf", "docx"})


def read(source: Source, settings: ReadSettings | None = None) -> list[Document]:
    """The documents of a source: one, or one a row for CSV and JSONL.

    Raises:
        UnreadableDocument: empty, broken, too large, no known format, or not what its name says.
    """
    if not source.data:
        raise UnreadableDocument(f"{source.uri}: empty", hint="leave it out, or fill it")
    return _reader(_format(source))(source, settings or ReadSettings())


def _format(source: Source) -> str:
    path = urlsplit(source.uri).path if "://" in source.uri else source.uri
    ending = PurePosixPath(path).suffix[1:].lower()
    named = _MEDIA_TYPES.get(source.media_type.split(";")[0].strip().lower(), "") or ending
    if named not in _readers():
        raise UnreadableDocument(
            f"{source.uri}: no reader for {source.media_type or named or 'files without an ending'}",
            hint=did_you_mean(named, _readers(), kind="endings"),
        )
    seen = next((name for sign, name in _SIGNS if source.data.startswith(sign)), "")
    known = named in _MEDIA_TYPES.values()
    if known and ((seen and seen != named) or (named in _PACKED and not seen)):
        raise UnreadableDocument(
            f"{source.uri}: named {named}, but its content is {seen or 'something else'}",
            hint="give the file the ending of its real format, or leave it out",
        )
    return named


@cache
def _readers() -> frozenset[str]:
    return frozenset(point.name for point in entry_points(group="headrace.readers"))


@cache
def _reader(name: str) -> Reader:
    (point,) = entry_points(group="headrace.readers", name=name)
    reader: Reader = point.load()
    return reader
