"""DOCX: headings, paragraphs, lists and tables of the main part, by zipfile and expat.

Pictures, notes, comments, headers and footers are left out. Entities are refused, sizes checked
while unpacking: what a zip says of itself is not believed.
"""

import io
import re
import zipfile
import zlib
from xml.parsers import expat

from headrace.knowledge.document import Document
from headrace.knowledge.errors import UnreadableDocument
from headrace.knowledge.read.draft import Draft
from headrace.knowledge.read.settings import ReadSettings
from headrace.knowledge.read.source import Source

__all__ = ["MEDIA_TYPE", "read"]

MEDIA_TYPE = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
_MAIN = "word/document.xml"
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main "
_LEVEL = re.compile(r"(?:heading|标题)\s?([1-9])\Z", re.IGNORECASE)
_ENTRY, _MOST_ENTRIES = b"PK\x01\x02", 10_000
"""Opening a zip makes an object for each entry, of which 50 MB can name a million."""
_PIECE = 1 << 16
_SMALL = 1_000_000
"""A part up to this size may be packed as tightly as it likes."""


def read(source: Source, settings: ReadSettings) -> list[Document]:
    """One document."""
    parser = _Parser(source.uri)
    if source.data.count(_ENTRY) > _MOST_ENTRIES:
        raise _broken(source.uri, f"it has more than {_MOST_ENTRIES:,} parts")
    try:
        with zipfile.ZipFile(io.BytesIO(source.data)) as archive:
            with archive.open(_MAIN) as part:
                size, packed = 0, archive.getinfo(_MAIN).compress_size
                while piece := part.read(_PIECE):
                    size += len(piece)
                    _check(source.uri, size, packed, settings)
                    parser.feed(piece)
            parser.feed(b"", is_last=True)
    except KeyError as error:
        raise _broken(source.uri, f"it has no {_MAIN}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise _broken(source.uri, str(error)) from error
    except expat.ExpatError as error:
        raise _broken(source.uri, f"{_MAIN}: {error}") from error
    return [parser.draft.document(source, MEDIA_TYPE)]


def _check(uri: str, size: int, packed: int, settings: ReadSettings) -> None:
    too_tight = size > _SMALL and size > packed * settings.max_ratio
    if too_tight or size > settings.max_unpacked_mb * 1_000_000:
        raise UnreadableDocument(
            f"{uri}: unpacks {packed:,} bytes to more than {size - 1:,}, as zip bombs do",
            hint="if you trust it, raise knowledge.read.max_ratio or max_unpacked_mb",
        )


def _broken(uri: str, why: str) -> UnreadableDocument:
    return UnreadableDocument(
        f"{uri}: not a DOCX that can be read: {why}", hint="open it in a word processor and save it"
    )


class _Parser:
    def __init__(self, uri: str) -> None:
        self.draft = Draft(uri)
        self._uri = uri
        self._text: list[str] = []
        self._rows: list[list[list[str]]] = []
        """Paragraphs by cell by row of the table that is open."""
        self._tables = 0
        self._level = 0
        self._is_list = self._in_text = False
        self._expat = expat.ParserCreate(namespace_separator=" ")
        self._expat.StartElementHandler = self._start
        self._expat.EndElementHandler = self._end
        self._expat.CharacterDataHandler = self._data
        self._expat.EntityDeclHandler = self._entity

    def feed(self, data: bytes, *, is_last: bool = False) -> None:
        self._expat.Parse(data, is_last)

    def _entity(self, *_: object) -> None:
        raise UnreadableDocument(
            f"{self._uri}: declares XML entities, which no word processor writes",
            hint="do not trust this file",
        )

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        tag = name.removeprefix(_WORD)
        if tag == "t":
            self._in_text = True
        elif tag in ("tab", "br"):
            self._text.append(" ")
        elif tag == "numPr":
            self._is_list = True
        elif tag == "pStyle":
            self._style(attributes.get(f"{_WORD}val", ""))
        elif tag == "tbl":
            self._tables += 1
        elif tag == "tr" and self._tables == 1:
            self.draft.count()
            self._rows.append([])
        elif tag == "tc" and self._tables == 1 and self._rows:
            self.draft.count()
            self._rows[-1].append([])

    def _style(self, style: str) -> None:
        if match := _LEVEL.match(style):
            self._level = int(match[1])
        elif style.lower() == "title":
            self._level = 1
        elif style.lower().startswith("list"):
            self._is_list = True

    def _end(self, name: str) -> None:
        tag = name.removeprefix(_WORD)
        if tag == "t":
            self._in_text = False
        elif tag == "p":
            self._paragraph()
        elif tag == "tbl":
            self._tables -= 1
            if not self._tables:
                cells = ([" ".join(cell) for cell in row] for row in self._rows)
                rows = "\n".join(map(" | ".join, cells))
                self._rows = []
                self.draft.block("table", rows)

    def _data(self, data: str) -> None:
        if self._in_text:
            self._text.append(data)

    def _paragraph(self) -> None:
        text = "".join(self._text).strip()
        level, is_list = self._level, self._is_list
        self._text, self._level, self._is_list = [], 0, False
        if self._tables:
            if self._rows and self._rows[-1] and text:
                self._rows[-1][-1].append(text)
        elif level:
            self.draft.heading(level, text)
        else:
            self.draft.block("list" if is_list else "text", text)
