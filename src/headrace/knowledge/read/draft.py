"""A document while a format is being read: text grows at its end, blocks with it."""

from hashlib import sha256

from headrace.knowledge.document import Block, BlockKind, Document
from headrace.knowledge.errors import UnreadableDocument
from headrace.knowledge.read.source import Source

__all__ = ["Draft"]

_MOST_PARTS = 500_000
"""Paragraphs, headings and cells: of two signs each, 50 MB would become gigabytes of objects."""


class Draft:
    """Collects headings and blocks in the order of the source."""

    def __init__(self, uri: str = "") -> None:
        self._uri = uri
        self._count = 0
        self.title = ""
        self.metadata: dict[str, str] = {}
        self._parts: list[str] = []
        self._length = 0
        self._blocks: list[Block] = []
        self._headings: list[tuple[int, str]] = []
        self._bare: tuple[int, int, tuple[str, ...]] | None = None
        """The last heading's level, where it starts and those above it, while nothing is below."""

    def count(self) -> None:
        """Counts a part that is kept, such as the cell of a table.

        Raises:
            UnreadableDocument: there are too many.
        """
        self._count += 1
        if self._count > _MOST_PARTS:
            raise UnreadableDocument(
                f"{self._uri}: more than {_MOST_PARTS:,} paragraphs, headings and cells",
                hint="split it",
            )

    def heading(self, level: int, text: str) -> None:
        """A heading; it ends those of its own and of deeper levels."""
        if not (text := " ".join(text.split())):
            return
        if self._bare is not None and level <= self._bare[0]:
            self._keep_heading()
        while self._headings and self._headings[-1][0] >= level:
            self._headings.pop()
        above = tuple(name for _, name in self._headings)
        self._headings.append((level, text))
        self._bare = (level, self._write(text), above)

    def block(self, kind: BlockKind, text: str, page: int | None = None) -> None:
        """A block below the headings so far; blank ones are left out."""
        text = text.strip("\n") if kind == "code" else text.strip()
        if not text.strip():
            return
        self._bare = None
        start = self._write(text)
        headings = tuple(name for _, name in self._headings)
        self._blocks.append(Block(kind, start, start + len(text), headings, page))

    def document(
        self, source: Source, media_type: str, uri: str = "", digest: str = ""
    ) -> Document:
        """What was collected.

        Args:
            uri: of a part of the source; with its own `digest`.

        Raises:
            UnreadableDocument: there is no text in it.
        """
        if self._bare is not None:
            self._keep_heading()
        if not self._blocks:
            raise UnreadableDocument(
                f"{source.uri}: no text in it",
                hint="scanned pages need OCR first; else leave it out",
            )
        top = self._headings[0][1] if self._headings else ""
        first = self._blocks[0].headings[:1]
        return Document(
            uri=uri or source.uri,
            title=self.title or (first[0] if first else top) or source.uri.rsplit("/", 1)[-1],
            text="".join(self._parts),
            blocks=tuple(self._blocks),
            media_type=media_type,
            digest=digest or sha256(source.data).hexdigest(),
            metadata=self.metadata,
        )

    def _keep_heading(self) -> None:
        """A heading without anything below it is text, or nobody would find it."""
        assert self._bare is not None
        _, start, above = self._bare
        self._bare = None
        self._blocks.append(Block("text", start, start + len(self._headings[-1][1]), above))

    def _write(self, text: str) -> int:
        self.count()
        if self._parts:
            self._parts.append("\n\n")
            self._length += 2
        start = self._length
        self._parts.append(text)
        self._length += len(text)
        return start
