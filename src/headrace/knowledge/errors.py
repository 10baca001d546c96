"""Failures of the knowledge room.

HeadraceError
├── UnreadableDocument     a source is broken, locked, too large, or not what it says it is
│   └── AddressRefused     a URL leads to where this service must not go
├── UnknownDocument        the knowledge base holds none of that name
└── KnowledgeUnusable      the index cannot be read or written
"""

from headrace.errors import HeadraceError, NotFound

__all__ = ["AddressRefused", "KnowledgeUnusable", "UnknownDocument", "UnreadableDocument"]


class UnreadableDocument(HeadraceError):
    """A source cannot be read; the others can."""

    code = "unreadable_document"


class AddressRefused(UnreadableDocument):
    """A URL leads to a private address, or to no address of the web."""

    code = "address_refused"


class UnknownDocument(NotFound):
    """The knowledge base holds no such document or source."""


class KnowledgeUnusable(HeadraceError):
    """The index cannot be opened, read or written."""

    code = "knowledge_unusable"
