"""How long the pieces of a document are (`knowledge.chunk`)."""

from typing import Annotated

import msgspec
from msgspec import Meta

__all__ = ["ChunkSettings"]


class ChunkSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How documents are cut (`knowledge.chunk`)."""

    target_tokens: Annotated[int, Meta(ge=1)] = 200
    """Tokens after which a piece ends at the next sentence, row or line."""
    max_tokens: Annotated[int, Meta(ge=1)] = 256
    """Tokens that no piece exceeds; a longer sentence is cut between words."""
    overlap_tokens: Annotated[int, Meta(ge=0)] = 32
    """Tokens of whole sentences that a piece repeats from the one before it."""
