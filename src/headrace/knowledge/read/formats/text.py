"""Plain text: paragraphs between blank lines."""

import re

from headrace.knowledge.document import Document
from headrace.knowledge.read.decode import charset, decode
from headrace.knowledge.read.draft import Draft
from headrace.knowledge.read.settings import ReadSettings
from headrace.knowledge.read.source import Source

__all__ = ["read"]

_BLANK = re.compile(r"\n[ \t]*+\n")


def read(source: Source, settings: ReadSettings) -> list[Document]:
    """One document."""
    text, encoding = decode(source.data, source.uri, charset(source.media_type))
    draft = Draft(source.uri)
    draft.metadata["encoding"] = encoding
    for paragraph in _BLANK.split(text):
        draft.block("text", paragraph)
    return [draft.document(source, "text/plain")]
