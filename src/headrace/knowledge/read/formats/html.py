"""HTML: headings, paragraphs, lists, tables and code, without navigation, scripts and forms.

Parsed as a stream of tags, so depth costs nothing. Text that scripts would add is not there.
"""

import re
from html.parser import HTMLParser

from headrace.knowledge.document import BlockKind, Document
from headrace.knowledge.read.decode import decode
from headrace.knowledge.read.draft import Draft
from headrace.knowledge.read.settings import ReadSettings
from headrace.knowledge.read.source import Source

__all__ = ["read"]

_SKIPPED = frozenset(
    {"script", "style", "nav", "noscript", "template", "svg", "form", "aside", "footer", "iframe"}
)
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
        "br",
        "hr",
        "figure",
        "figcaption",
        "body",
    ]
)
_HEADING = re.compile(r"h[1-6]\Z")
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset=[\"']?([\w-]{2,20})", re.IGNORECASE)


def read(source: Source, settings: ReadSettings) -> list[Document]:
    """One document."""
    text, encoding = _decoded(source)
    draft = Draft()
    draft.metadata["encoding"] = encoding
    parser = _Parser(draft)
    parser.feed(text)
    parser.close()
    parser.flush()
    return [draft.document(source, "text/html")]


def _decoded(source: Source) -> tuple[str, str]:
    """The text in the encoding that the page names, where it holds; else by evidence."""
    named = _CHARSET.search(source.data[:4096])
    if named and b"\x00" not in source.data:
        name = named[1].decode("ascii", "replace")
        name = "gb18030" if name.lower() in ("gb2312", "gbk") else name
        try:
            return source.data.decode(name), name.lower()
        except (UnicodeDecodeError, LookupError):
            pass
    return decode(source.data, source.uri)


class _Parser(HTMLParser):
    def __init__(self, draft: Draft) -> None:
        super().__init__(convert_charrefs=True)
        self._draft = draft
        self._text: list[str] = []
        self._rows: list[list[str]] = []
        self._skip: list[str] = []
        self._tables = 0
        self._kind: BlockKind = "text"
        self._mode = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._skip or tag in _SKIPPED:
            if not self._skip or tag == self._skip[0]:
                self._skip.append(tag)
            return
        if tag == "html":
            if lang := dict(attrs).get("lang"):
                self._draft.metadata["lang"] = lang
        elif tag == "table":
            if not self._tables:
                self.flush()
            self._tables += 1
        elif self._tables:
            self._cell(tag)
        elif tag in _BREAKS or tag in ("pre", "title") or _HEADING.match(tag):
            self._open(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._skip:
            if tag == self._skip[0]:
                self._skip.pop()
        elif tag == "table" and self._tables:
            self._tables -= 1
            if not self._tables:
                self._table()
        elif tag == self._mode or (tag in _BREAKS and not self._tables):
            self.flush()

    def handle_data(self, data: str) -> None:
        if self._skip:
            return
        if self._tables and self._rows:
            if self._rows[-1]:
                self._rows[-1][-1] += data
            return
        self._text.append(data)

    def flush(self) -> None:
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
            self._text.append("\n" if tag == "br" else "")
            return
        self.flush()
        if tag in ("pre", "title") or _HEADING.match(tag):
            self._mode = tag
        self._kind = "list" if tag in ("li", "dt", "dd") else "text"

    def _cell(self, tag: str) -> None:
        if tag == "tr":
            self._rows.append([])
        elif tag in ("td", "th") and self._rows:
            self._rows[-1].append("")

    def _table(self) -> None:
        rows = [" | ".join(" ".join(cell.split()) for cell in row) for row in self._rows]
        self._rows, self._tables = [], 0
        self._draft.block("table", "\n".join(row for row in rows if row.strip(" |")))
