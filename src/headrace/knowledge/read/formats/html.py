"""HTML: headings, paragraphs, lists, tables and code, without navigation, scripts and controls.

Read as a stream of tags (markup.py), so depth costs nothing. Text that scripts would add is not
there; pictures and the targets of links are left out.
"""

import re

from headrace.knowledge.document import BlockKind, Document
from headrace.knowledge.read.decode import charset, decode
from headrace.knowledge.read.draft import Draft
from headrace.knowledge.read.formats.markup import Event, attribute, events
from headrace.knowledge.read.settings import ReadSettings
from headrace.knowledge.read.source import Source

__all__ = ["read"]

_SKIPPED = frozenset(
    [
        "script",
        "style",
        "nav",
        "noscript",
        "template",
        "svg",
        "aside",
        "footer",
        "iframe",
        "button",
        "select",
        "textarea",
        "datalist",
    ]
)
"""A form is not among them: some frameworks put the whole page into one."""
_BREAKS = frozenset(
    [
        "p",
        "div",
        "section",
        "article",
        "main",
        "header",
        "blockquote",
        "ul",
        "ol",
        "li",
        "dl",
        "dt",
        "dd",
        "hr",
        "figure",
        "figcaption",
        "body",
        "form",
    ]
)
_HEADING = re.compile(r"h[1-6]\Z")
_META = re.compile(rb"<meta[^>]{0,200}?charset=[\"']?[\w:.-]{2,20}", re.IGNORECASE)


def read(source: Source, settings: ReadSettings) -> list[Document]:
    """One document."""
    named = charset(source.media_type)
    if not named and (meta := _META.search(source.data[:4096])):
        named = charset(meta[0].decode("ascii", "replace"))
    text, encoding = decode(source.data, source.uri, named)
    draft = Draft(source.uri)
    draft.metadata["encoding"] = encoding
    _Page(draft).run(text)
    return [draft.document(source, "text/html")]


class _Page:
    def __init__(self, draft: Draft) -> None:
        self._draft = draft
        self._text: list[str] = []
        self._rows: list[list[list[str]]] = []
        """Pieces by cell by row of the table that is open."""
        self._skipped, self._depth = "", 0
        self._tables = 0
        self._kind: BlockKind = "text"
        self._mode = ""

    def run(self, text: str) -> None:
        for event in events(text):
            if event.kind == "text":
                self._data(event.value)
            elif self._depth and event.value != "main":
                if event.value == self._skipped:
                    self._depth += 1 if event.kind == "start" else -1
            elif event.kind == "start":
                self._start(event)
            else:
                self._end(event.value)
        self._flush()

    def _start(self, event: Event) -> None:
        tag = event.value
        # Nothing that is skipped holds the main part: it was left open.
        self._depth = 0
        if tag in _SKIPPED:
            self._skipped, self._depth = tag, 1
        elif tag == "html":
            if lang := attribute(event, "lang"):
                self._draft.metadata["lang"] = lang
        elif tag == "table":
            if not self._tables:
                self._flush()
            self._tables += 1
        elif self._tables:
            self._cell(tag)
        elif tag == "br":
            self._break()
        elif tag in _BREAKS or tag in ("pre", "title") or _HEADING.match(tag):
            self._open(tag)

    def _end(self, tag: str) -> None:
        self._depth = 0
        if tag == "table" and self._tables:
            self._tables -= 1
            if not self._tables:
                self._table()
        elif tag == self._mode or (tag in _BREAKS and not self._tables):
            self._flush()

    def _data(self, data: str) -> None:
        if self._depth:
            return
        if self._tables and self._rows:
            if self._rows[-1]:
                self._rows[-1][-1].append(data)
            return
        self._text.append(data)

    def _flush(self) -> None:
        """Ends what is open: a heading, a title, a block of code or a paragraph."""
        if self._rows:
            self._table()
        text, mode, kind = "".join(self._text), self._mode, self._kind
        self._text, self._mode, self._kind = [], "", "text"
        if mode == "pre":
            self._draft.block("code", text)
        elif mode == "title":
            self._draft.title = self._draft.title or " ".join(text.split())
        elif mode:
            self._draft.heading(int(mode[1]), text)
        else:
            self._draft.block(kind, " ".join(text.split()))

    def _open(self, tag: str) -> None:
        if self._mode == "pre":
            return
        self._flush()
        if tag in ("pre", "title") or _HEADING.match(tag):
            self._mode = tag
        self._kind = "list" if tag in ("li", "dt", "dd") else "text"

    def _break(self) -> None:
        """One is a space, two in a row end a paragraph."""
        if not self._mode and self._text and self._text[-1] == "\n":
            self._flush()
        else:
            self._text.append("\n")

    def _cell(self, tag: str) -> None:
        if tag == "tr":
            self._draft.count()
            self._rows.append([])
        elif tag in ("td", "th") and self._rows:
            self._draft.count()
            self._rows[-1].append([])
        elif _HEADING.match(tag):
            self._layout()
            self._open(tag)
        elif (tag == "br" or tag in _BREAKS) and self._rows and self._rows[-1]:
            self._rows[-1][-1].append(" ")

    def _layout(self) -> None:
        """A table with a heading in it only places things: its cells are paragraphs."""
        rows, self._rows, self._tables = self._rows, [], 0
        for row in rows:
            for cell in row:
                self._draft.block("text", _joined(cell))

    def _table(self) -> None:
        rows = [" | ".join(map(_joined, row)) for row in self._rows]
        self._rows, self._tables = [], 0
        self._draft.block("table", "\n".join(row for row in rows if row.strip(" |")))


def _joined(pieces: list[str]) -> str:
    return " ".join("".join(pieces).split())
