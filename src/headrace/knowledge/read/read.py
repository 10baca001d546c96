"""The one front of all readers: which format a source is in, and its documents."""

import logging
from collections.abc import Callable
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import PurePosixPath
from typing import TypeAlias
from urllib.parse import urlsplit

from headrace.errors import HeadraceError, did_you_mean
from headrace.knowledge.document import Document
from headrace.knowledge.errors import UnreadableDocument
from headrace.knowledge.read.settings import ReadSettings
from headrace.knowledge.read.source import Source

__all__ = ["Reader", "format_of", "media_type_of", "read"]

_log = logging.getLogger(__name__)

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
_VAGUE = frozenset({"", "text/plain", "application/octet-stream", "binary/octet-stream"})
"""What servers say of files that they do not know."""
_SIGNS = ((b"%PDF-", "pdf"), (b"PK\x03\x04", "docx"))
_PACKED = frozenset({"pdf", "docx"})


def read(source: Source, settings: ReadSettings | None = None) -> list[Document]:
    """The documents of a source: one, or one a row for CSV and JSONL.

    Raises:
        UnreadableDocument: empty, broken, too large, no known format, or not what its name says.
    """
    if not source.data:
        raise UnreadableDocument(f"{source.uri}: empty", hint="leave it out, or fill it")
    name = _format(source)
    reader = _reader(name)
    try:
        return reader(source, settings or ReadSettings())
    except HeadraceError:
        raise
    except Exception as error:
        # Whatever a reader from outside raises, the other sources are read.
        _log.exception("the reader %r failed on %s", name, source.uri)
        raise UnreadableDocument(
            f"{source.uri}: the reader {name!r} failed: {type(error).__name__}: {error}",
            hint="the log has the traceback; leave the source out until its reader is mended",
        ) from error


def format_of(uri: str, media_type: str = "") -> str:
    """The name of the reader for it: what the server says, or else the ending of its path.

    Raises:
        UnreadableDocument: there is none.
    """
    said = media_type.partition(";")[0].strip().lower()
    path = urlsplit(uri).path if "://" in uri else uri
    ending = PurePosixPath(path).suffix[1:].lower()
    if said in _VAGUE and ending in _readers():
        return ending
    named = said if said in _readers() else _MEDIA_TYPES.get(said, "")
    if not named and (said in _VAGUE or said.startswith("text/")):
        named = ending
    if named not in _readers():
        raise UnreadableDocument(
            f"{uri}: no reader for {said or named or 'files without an ending'}",
            hint=did_you_mean(named, _readers(), kind="endings"),
        )
    return named


def media_type_of(name: str, said: str) -> str:
    """What a source of format `name` is best called, so that `format_of` gives it again."""
    if said.partition(";")[0].strip().lower() not in _VAGUE:
        return said
    found = next((key for key, each in _MEDIA_TYPES.items() if each == name), "")
    return found if not said or not found else f"{found};{said.partition(';')[2]}"


def _format(source: Source) -> str:
    named = format_of(source.uri, source.media_type)
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
    points = tuple(entry_points(group="headrace.readers", name=name))
    if len(points) > 1:
        raise UnreadableDocument(
            f"several packages bring a reader {name!r}: {', '.join(sorted(map(_package, points)))}",
            hint="uninstall all but one",
        )
    try:
        reader: Reader = points[0].load()
    except Exception as error:
        raise UnreadableDocument(
            f"the reader {name!r} of {_package(points[0])} cannot be loaded: {error}",
            hint="reinstall the package, or uninstall it",
        ) from error
    return reader


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else point.value
