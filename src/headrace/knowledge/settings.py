"""What `knowledge:` in headrace.yaml may hold."""

from typing import Annotated

import msgspec
from msgspec import Meta

from headrace.config.node import Node
from headrace.knowledge.chunk.settings import ChunkSettings
from headrace.knowledge.read.settings import ReadSettings

__all__ = ["KnowledgeSection", "RetrievalSettings", "SourceSettings", "read_knowledge"]


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every section: unknown fields are errors."""


class SourceSettings(_Section, frozen=True, kw_only=True):
    """One place that documents come from (`knowledge.sources[]`): `path` or `url`."""

    path: str = ""
    """A file or a folder, relative to headrace.yaml."""
    url: str = ""
    """An address of the web; private ones are refused."""
    title: str = ""
    """Title of its document, for a single file or a URL; empty: the document's own."""
    readers: tuple[str, ...] = ()
    """Roles (or `team:NAME`) that may read it; empty: everyone."""
    metadata: dict[str, str] = {}
    """Added to each document's own, for filters."""
    include: tuple[str, ...] = ("*",)
    """Patterns of the files of a folder that count."""
    exclude: tuple[str, ...] = ()
    """Patterns of those that do not, whatever `include` says."""

    @property
    def name(self) -> str:
        """What the source goes by."""
        return self.url or self.path


class RetrievalSettings(_Section, frozen=True, kw_only=True):
    """How passages are chosen (`knowledge.retrieval`)."""

    vector_weight: Annotated[float, Meta(ge=0, le=1)] = 0.6
    """Share of the meaning (vectors) in a score; the rest is words (BM25). 0 and 1: one alone."""
    diversity: Annotated[float, Meta(ge=0, le=1)] = 0.1
    """How much a passage loses for being like a better one (MMR)."""
    merge_neighbours: bool = True
    """Give passages that touch each other in a document as one."""
    threads: Annotated[int, Meta(ge=1, le=64)] = 2
    """Searches at a time; further ones wait their turn."""


class KnowledgeSection(_Section, frozen=True, kw_only=True):
    """What answers stand on (`knowledge:`); `headrace knowledge sync` brings it up to date."""

    sources: tuple[SourceSettings, ...] = ()
    """Where documents come from, beside those that `headrace knowledge add` names."""
    model: str = "embedding"
    """The model that makes the vectors; the built-in one needs no declaration."""
    chunk: ChunkSettings = ChunkSettings()
    """How documents are cut."""
    read: ReadSettings = ReadSettings()
    """How much of a source is read."""
    retrieval: RetrievalSettings = RetrievalSettings()
    """How passages are chosen."""


def read_knowledge(node: Node | None) -> KnowledgeSection:
    """The section, checked; the defaults without one.

    Raises:
        ConfigError: with file, line and field.
    """
    if node is None or node.value is None:
        return KnowledgeSection()
    section = node.convert(KnowledgeSection)
    seen: set[str] = set()
    for i, source in enumerate(section.sources):
        if bool(source.path) == bool(source.url):
            raise node.error("needs either `path` or `url`", "sources", i)
        if source.name in seen:
            raise node.error(f"{source.name!r} is there twice", "sources", i)
        seen.add(source.name)
    return section
