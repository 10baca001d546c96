"""What may be read, and how much of it (`knowledge.read`)."""

from typing import Annotated

import msgspec
from msgspec import Meta

__all__ = ["ReadSettings"]


class ReadSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How sources are read (`knowledge.read`)."""

    max_mb: Annotated[float, Meta(gt=0)] = 50.0
    """Megabytes of one source; a larger one is refused before it is read."""
    max_unpacked_mb: Annotated[float, Meta(gt=0)] = 200.0
    """Megabytes that a packed source (DOCX) may unpack to."""
    max_ratio: Annotated[float, Meta(gt=1)] = 200.0
    """How many times its packed size a part of a DOCX may have."""
    max_text_mb: Annotated[float, Meta(gt=0)] = 50.0
    """Millions of characters that a PDF may hold."""
    max_pages: Annotated[int, Meta(gt=0)] = 10_000
    """Pages that a PDF may have."""
    max_rows: Annotated[int, Meta(gt=0)] = 200_000
    """Rows of a CSV or JSONL file, each of which becomes a document."""
    url_timeout_s: Annotated[float, Meta(gt=0)] = 30.0
    """Seconds that a URL may take, redirects and all."""
    private_hosts: tuple[str, ...] = ()
    """Hosts whose URLs may lead to private addresses, in small letters; all others are refused."""
    pdf_timeout_s: Annotated[float, Meta(gt=0)] = 60.0
    """Seconds that a PDF may take."""
    pdf_memory_mb: Annotated[int, Meta(ge=64)] = 1024
    """Megabytes of memory that the process that reads a PDF may use."""
    text_field: str = "text"
    """The column or field of CSV and JSONL rows that holds the text; absent: all of them."""
    title_field: str = "title"
    """The column or field that holds the title."""
    id_field: str = ""
    """The column or field that tells rows apart; empty: their line. With it a row that moves stays the same document."""
    metadata_fields: tuple[str, ...] = ()
    """Columns or fields kept as metadata of the row's document."""
