"""What a source becomes when it has been read: one text, and where in it things stand."""

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

__all__ = ["Block", "BlockKind", "Chunk", "Document"]

BlockKind: TypeAlias = Literal["text", "list", "table", "code"]


@dataclass(frozen=True, slots=True)
class Block:
    """A run of a document's text of one kind, under one heading."""

    kind: BlockKind
    start: int
    """First character in `Document.text`."""
    end: int
    """One past the last character."""
    headings: tuple[str, ...] = ()
    """The headings above it, outermost first."""
    page: int | None = None
    """Page, from 1, where the source has pages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One readable source. Every span that is cited is a span of `text`."""

    uri: str
    """What it is known by: the path below its folder, or its address."""
    title: str
    text: str
    blocks: tuple[Block, ...]
    """In order, without overlap; what is between two of them is blank or a heading."""
    media_type: str
    digest: str
    """SHA-256 of the source's bytes, in hex."""
    metadata: dict[str, str] = field(default_factory=dict)
    """From front matter, columns or the source's own properties."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A piece of a document that is embedded and retrieved as one."""

    ordinal: int
    """Position among the document's chunks, from 0."""
    start: int
    """Span of `Document.text`; neighbouring chunks may overlap."""
    end: int
    text: str
    """What the span says; a later piece of a table repeats the table's head in front."""
    kind: BlockKind
    headings: tuple[str, ...] = ()
    page: int | None = None
