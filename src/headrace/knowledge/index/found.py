"""What an index finds: chunks with their documents' particulars, and the best rows of a search."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import Protocol, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

__all__ = ["CHUNKS", "Best", "Found", "Index", "Readable"]

CHUNKS = (
    'SELECT c.id, c.document, c.ordinal, c."start", c."end", c.text, c.kind, c.headings, c.page,'
    " d.uri, d.title, d.metadata FROM chunk c JOIN document d ON d.id = c.document"
)
"""Asks a database for chunks `c` of documents `d`: rows for `Found.of`."""
_MOST_MASKS = 64


@dataclass(frozen=True, slots=True)
class Found:
    """A chunk with its document's particulars."""

    chunk: int
    document: int
    ordinal: int
    start: int
    end: int
    text: str
    kind: str
    headings: tuple[str, ...]
    page: int | None
    uri: str
    title: str
    metadata: dict[str, str]

    @classmethod
    def of(cls, row: Sequence[object]) -> Self:
        """From a row that `CHUNKS` gives."""
        values = list(row)
        values[7] = tuple(msgspec.json.decode(values[7]))  # type: ignore[call-overload]  # as written
        values[11] = msgspec.json.decode(values[11])  # type: ignore[call-overload]  # as written
        return cls(*values)  # type: ignore[arg-type]  # the columns of CHUNKS

    def id(self) -> str:
        """Its content address."""
        content = f"{self.uri}\0{self.text}"
        return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:24]


@dataclass(frozen=True, slots=True)
class Best:
    """The best rows of a search, best first."""

    rows: list[int]
    scores: NDArray[np.float32]
    """(R,), from 0 to 1."""
    vectors: NDArray[np.float32]
    """(R, D): how they are alike; (R, 0) where there are none."""


class Index(Protocol):
    """One version of what can be found, wherever it lies. Its methods may wait for a disk."""

    version: str
    embedder: str
    """What made its vectors."""

    def __len__(self) -> int: ...

    def close(self) -> None:
        """Let go of it. Nothing may be searching."""
        ...

    def best(
        self,
        query: str,
        vector: NDArray[np.float32] | None,
        *,
        weight: float,
        count: int,
        roles: AbstractSet[str],
        filters: Mapping[str, str] | None,
    ) -> Best:
        """The rows with the highest sums of words and meaning, of those that may be read.

        Args:
            vector: the query's; None: words alone.
            weight: share of the meaning.
            count: at most so many; only rows that have any of both.

        Raises:
            KnowledgeUnusable: the index cannot be read.
        """
        ...

    def chunks(self, rows: Sequence[int]) -> list[Found]:
        """The chunks of some rows, in that order."""
        ...

    def span(self, uri: str, start: int, end: int, roles: AbstractSet[str]) -> Found | None:
        """What stands at a span of a document; None if it has none that one of `roles` may read.

        A chunk's own span gives the chunk (a table's head is repeated there), any other the text.
        """
        ...

    def text(self, document: int, start: int, end: int) -> str:
        """A span of a document's text."""
        ...


@dataclass(frozen=True, slots=True)
class _Known:
    readers: frozenset[str]
    metadata: dict[str, str]


class Readable:
    """Who may read which rows."""

    def __init__(self, documents: NDArray[np.int64]) -> None:
        self._documents = documents
        """(N,): the document of each row."""
        self._known: dict[int, _Known] = {}
        self._masks: dict[object, NDArray[np.bool_]] = {}

    def learn(self, rows: Iterable[tuple[int, bytes | str, bytes | str]]) -> None:
        """Take in documents (id, readers, metadata) before any mask is asked for."""
        for document, readers, metadata in rows:
            self._known[document] = _Known(
                frozenset(msgspec.json.decode(readers)),
                msgspec.json.decode(metadata, type=dict[str, str]),
            )

    def may(self, document: int, roles: AbstractSet[str]) -> bool:
        """Whether one of `roles` may read a document."""
        readers = self._known[document].readers
        return not readers or bool(readers & roles)

    def documents(self, roles: AbstractSet[str], filters: Mapping[str, str] | None) -> list[int]:
        """The documents that one of `roles` may read and that have that metadata."""
        wanted = tuple((filters or {}).items())
        return [
            document
            for document, known in self._known.items()
            if self.may(document, roles)
            and all(known.metadata.get(name) == value for name, value in wanted)
        ]

    def mask(self, roles: AbstractSet[str], filters: Mapping[str, str] | None) -> NDArray[np.bool_]:
        """(N,): the rows of those documents."""
        key = (frozenset(roles), tuple(sorted((filters or {}).items())))
        found = self._masks.get(key)
        if found is None:
            allowed = np.array(self.documents(roles, filters), np.int64)
            found = np.isin(self._documents, allowed)
            if len(self._masks) >= _MOST_MASKS:
                self._masks.clear()
            self._masks[key] = found
        return found
