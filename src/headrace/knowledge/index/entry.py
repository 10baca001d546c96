"""Entries: what the index knows of a document, of where it came from, and of its chunks."""

import hashlib
from collections.abc import Iterable

import msgspec

from headrace.knowledge.document import Chunk, Document
from headrace.knowledge.settings import SourceSettings

__all__ = ["Entry", "Item", "searched_text", "version_of"]


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """A file or an address as it was when it was read last."""

    origin: str
    """Absolute path, or URL."""
    source: str
    """Name of the source it belongs to."""
    stamp: str
    """Time and size of a file, ETag or date of an address."""
    digest: str
    """SHA-256 of its bytes."""
    settings: str
    """Digest of how it was read and cut."""
    uri: str = ""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A document with what its source says of it."""

    document: Document
    chunks: list[Chunk]
    origin: str
    readers: tuple[str, ...] = ()

    def texts(self) -> list[str]:
        """What of each chunk is searched."""
        return [
            searched_text(self.document.title, each.headings, each.text) for each in self.chunks
        ]

    @classmethod
    def of(
        cls, document: Document, chunks: list[Chunk], origin: str, source: SourceSettings
    ) -> "Entry":
        document = Document(
            uri=document.uri,
            title=source.title or document.title,
            text=document.text,
            blocks=(),
            media_type=document.media_type,
            digest=document.digest,
            metadata={**document.metadata, **source.metadata},
        )
        return cls(document=document, chunks=chunks, origin=origin, readers=source.readers)


def searched_text(title: str, headings: Iterable[str], text: str) -> str:
    """A chunk with where it stands: a paragraph seldom repeats its heading's words."""
    return f"{' › '.join(dict.fromkeys((title, *headings)))}\n{text}"


def version_of(documents: Iterable[tuple[object, ...]], settings: str, embedder: str) -> str:
    """Content address of an index: what is in it, who may read it, how it was cut and embedded."""
    content = (sorted(documents), settings, embedder)
    return hashlib.sha256(msgspec.json.encode(content, order="sorted")).hexdigest()
