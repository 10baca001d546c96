"""What is in the index, to look at: read from the newest version, beside any writer."""

from contextlib import closing
from pathlib import Path
from typing import Self

import msgspec

from headrace.knowledge.index.store import FOLDER, connect, guarded

__all__ = ["DOCUMENTS", "Listed", "Statistics", "documents", "statistics"]

DOCUMENTS = (
    "SELECT uri, title, media_type, digest, readers, metadata,"
    " (SELECT count(*) FROM chunk WHERE document = d.id) FROM document d"
)
"""Asks a database for documents `d`: rows for `Listed.of`."""


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """One document."""

    uri: str
    title: str
    media_type: str
    digest: str
    chunks: int
    readers: tuple[str, ...]
    metadata: dict[str, str]

    @classmethod
    def of(cls, row: tuple[str, str, str, str, bytes | str, bytes | str, int]) -> Self:
        """From a row that `DOCUMENTS` gives."""
        uri, title, media_type, digest, readers, metadata, count = row
        return cls(
            uri=uri,
            title=title,
            media_type=media_type,
            digest=digest,
            readers=msgspec.json.decode(readers, type=tuple[str, ...]),
            metadata=msgspec.json.decode(metadata, type=dict[str, str]),
            chunks=count,
        )


class Statistics(msgspec.Struct, frozen=True, kw_only=True):
    """How much there is."""

    version: str = ""
    documents: int = 0
    chunks: int = 0
    size_bytes: int = 0
    """On disk, with the kept embeddings."""


def documents(home: Path) -> list[Listed]:
    """Every document, by name.

    Raises:
        KnowledgeUnusable: the index cannot be read.
    """
    path = home / FOLDER / "knowledge.db"
    if not path.exists():
        return []
    with guarded(path), closing(connect(path, read_only=True)) as database:
        rows = database.execute(f"{DOCUMENTS} ORDER BY uri, id")
        return [Listed.of(row) for row in rows]


def statistics(home: Path) -> Statistics:
    """How much there is; nothing where there is no index.

    Raises:
        KnowledgeUnusable: the index cannot be read.
    """
    path = home / FOLDER / "knowledge.db"
    if not path.exists():
        return Statistics()
    with guarded(path), closing(connect(path, read_only=True)) as database:
        version = database.execute("SELECT value FROM meta WHERE key = 'version'").fetchone()
        (texts,) = database.execute("SELECT count(*) FROM document").fetchone()
        (chunks,) = database.execute("SELECT count(*) FROM chunk").fetchone()
        size = sum(each.stat().st_size for each in path.parent.rglob("*") if each.is_file())
    return Statistics(
        version=version[0] if version else "", documents=texts, chunks=chunks, size_bytes=size
    )
