"""An embedder that needs no model: words and signs, hashed into a vector. For tests only."""

import hashlib
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from headrace.knowledge.index.term import terms


class HashingEmbedder:
    """Texts with like words have like vectors."""

    def __init__(self, name: str = "hashing") -> None:
        self.id = name
        self.texts: list[str] = []
        """What it was asked for."""

    async def embed(
        self, texts: Sequence[str], *, kind: Literal["query", "passage"] = "passage"
    ) -> NDArray[np.float32]:
        if kind == "passage":
            self.texts += texts
        made = np.zeros((len(texts), 64), np.float32)
        for row, text in enumerate(texts):
            for term in terms(text):
                made[row, hashlib.sha256(term.encode()).digest()[0] % 64] += 1
        norms = np.linalg.norm(made, axis=1, keepdims=True)
        unit: NDArray[np.float32] = made / np.maximum(norms, 1e-9).astype(np.float32)
        return unit
