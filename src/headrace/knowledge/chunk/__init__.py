"""Chunking: a document cut into pieces that are embedded and cited.

Read settings.py (how long a piece may be), sentence.py (where text may be cut), chunk.py (the cut).
"""

from headrace.knowledge.chunk.chunk import chunk, estimate_tokens
from headrace.knowledge.chunk.settings import ChunkSettings

__all__ = ["ChunkSettings", "chunk", "estimate_tokens"]
