"""Markdown, line by line: front matter, headings, fences, tables, lists, paragraphs.

Not a full CommonMark parser: HTML inside and indented code count as text; inline marks stay.
"""

import re

from headrace.knowledge.document import BlockKind, Document
from headrace.knowledge.read.decode import charset, decode
from headrace.knowledge.read.draft import Draft
from headrace.knowledge.read.settings import ReadSettings
from headrace.knowledge.read.source import Source

__all__ = ["read"]

_HEADING = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*))?$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_LIST = re.compile(r"\s{0,12}(?:[-*+]|\d{1,9}[.)])\s")
_FIELD = re.compile(r"([A-Za-z_][\w-]{0,63}):[ \t]*(.*)$")


def read(source: Source, settings: ReadSettings) -> list[Document]:
    """One document; simple `name: value` lines of the front matter become metadata."""
    text, encoding = decode(source.data, source.uri, charset(source.media_type))
    draft = Draft(source.uri)
    draft.metadata["encoding"] = encoding
    lines = text.split("\n")
    _Reader(draft, lines).run(_front_matter(draft, lines))
    return [draft.document(source, "text/markdown")]


def _front_matter(draft: Draft, lines: list[str]) -> int:
    """Takes the front matter in; returns the line after it."""
    if lines[0].rstrip() != "---" or "---" not in (line.rstrip() for line in lines[1:]):
        return 0
    for at, line in enumerate(lines[1:], 1):
        if line.rstrip() == "---":
            return at + 1
        if match := _FIELD.match(line):
            name, value = match[1].lower(), match[2].strip().strip("\"'")
            if name == "title":
                draft.title = value
            elif value:
                draft.metadata[name] = value
    return 0


class _Reader:
    def __init__(self, draft: Draft, lines: list[str]) -> None:
        self._draft = draft
        self._lines = lines
        self._open: list[str] = []
        self._kind: BlockKind = "text"

    def run(self, at: int) -> None:
        lines = self._lines
        while at < len(lines):
            line = lines[at]
            if heading := _HEADING.match(line):
                self._flush()
                self._draft.heading(len(heading[1]), (heading[2] or "").rstrip("# \t"))
            elif fence := _FENCE.match(line):
                at = self._fence(at, fence[1])
                continue
            elif "|" in line and at + 1 < len(lines) and self._is_rule(lines[at + 1]):
                at = self._table(at)
                continue
            elif self._kind == "text" and len(self._open) == 1 and _underline(line):
                title = self._open.pop()
                self._draft.heading(_underline(line), title)
            else:
                self._line(line)
            at += 1
        self._flush()

    @staticmethod
    def _is_rule(line: str) -> bool:
        return "|" in line and "-" in line and not line.strip("|-: \t")

    def _line(self, line: str) -> None:
        if not line.strip():
            self._flush()
            return
        if not self._open:
            self._kind = "list" if _LIST.match(line) else "text"
        self._open.append(line)

    def _fence(self, at: int, mark: str) -> int:
        self._flush()
        end = at + 1
        while end < len(self._lines) and not self._lines[end].strip().startswith(mark):
            end += 1
        self._draft.block("code", "\n".join(self._lines[at : end + 1]))
        return end + 1

    def _table(self, at: int) -> int:
        self._flush()
        end = at
        while end < len(self._lines) and "|" in self._lines[end]:
            end += 1
        self._draft.block("table", "\n".join(self._lines[at:end]))
        return end

    def _flush(self) -> None:
        self._draft.block(self._kind, "\n".join(self._open))
        self._open = []


def _underline(line: str) -> int:
    """The level that a line of only = or - gives to the one above; 0 for others."""
    bare = line.strip()
    if len(bare) > 1 and bare[0] in "=-" and not bare.strip(bare[0]):
        return 1 if bare[0] == "=" else 2
    return 0
