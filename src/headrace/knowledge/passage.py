"""What retrieval gives: a passage, and where it stands."""

from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Protocol

__all__ = ["Passage", "Retriever"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """One chunk of the knowledge base that was found."""

    id: str
    """The chunk's content address: the same text of the same document keeps it."""
    uri: str
    title: str
    headings: tuple[str, ...]
    page: int | None
    start: int
    """Span in the document's text, in characters."""
    end: int
    text: str
    score: float
    """Between 0 and 1; comparable within one search only."""
    metadata: Mapping[str, str] = field(default_factory=dict)


class Retriever(Protocol):
    """Finds passages. Reads memory or a read-only index; never waits for a writer."""

    @property
    def version(self) -> str:
        """Content address of everything that can be found; part of the release."""
        ...

    def close(self) -> None:
        """Let go of it, once what searches is done."""
        ...

    async def search(
        self,
        query: str,
        *,
        limit: int,
        roles: AbstractSet[str],
        filters: Mapping[str, str] | None = None,
    ) -> list[Passage]:
        """The best passages, best first, of documents that one of `roles` may read."""
        ...

    async def passage(
        self, name: str, uri: str, start: int, end: int, *, roles: AbstractSet[str]
    ) -> Passage | None:
        """The passage with the id `name` at a span of a document, to open a citation.

        None if it does not stand there any more, or none of `roles` may read the document.
        """
        ...
