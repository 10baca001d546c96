"""Vectors by content: a text is embedded once per process, and built-in questions never.

The built-in templates' questions come with their vectors of the built-in multilingual model
(written by tools/embed_asks.py); with another model they are computed like any other.
"""

import asyncio
import hashlib
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Final

from headrace.types import Embedder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["SHIPPED", "Vectors", "key_of"]

SHIPPED: Final = "builtin.npz"
_MOST: Final = 50_000
"""Vectors kept: 75 MB of 384 numbers each. The oldest go first."""
_kept: "dict[tuple[str, bytes], NDArray[np.float32]]" = {}
"""By embedder and text, so that a service that is loaded again finds them."""


class Vectors:
    """Vectors of questions by one embedder."""

    def __init__(self, embedder: Embedder) -> None:
        self._embedder = embedder
        self._one_by_one = asyncio.Lock()

    async def of(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        """One row per text; only new ones are computed.

        Raises:
            ModelUnavailable, WeightsUnavailable: the embedding model cannot be asked.
        """
        import numpy as np

        name = self._embedder.id
        keys = [(name, key_of(text)) for text in texts]
        async with self._one_by_one:
            shipped = await asyncio.to_thread(_shipped, name)
            missing = {
                key: text
                for key, text in zip(keys, texts, strict=True)
                if key not in _kept and key[1] not in shipped
            }
            if missing:
                rows = await self._embedder.embed(list(missing.values()), kind="query")
                _kept.update(zip(missing, rows, strict=True))
        found = [_kept[key] if key in _kept else shipped[key[1]] for key in keys]
        while len(_kept) > _MOST:
            del _kept[next(iter(_kept))]
        return np.stack(found) if found else np.zeros((0, 0), np.float32)

    async def one(self, text: str) -> "NDArray[np.float32]":
        """The vector of a user's message, which is not kept."""
        row: NDArray[np.float32] = (await self._embedder.embed([text], kind="query"))[0]
        return row


def key_of(text: str) -> bytes:
    """What a text is found by."""
    return hashlib.sha256(text.encode()).digest()[:16]


@cache
def _shipped(name: str) -> "dict[bytes, NDArray[np.float32]]":
    """What comes with the package, if it is by this embedder."""
    import numpy as np

    entry = files("headrace.prompts.choice").joinpath(SHIPPED)
    if not entry.is_file():
        return {}
    with entry.open("rb") as file, np.load(file) as data:
        if str(data["embedder"]) != name:
            return {}
        rows = data["rows"].astype(np.float32) / 127
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        return {bytes(key): row for key, row in zip(data["keys"], rows, strict=True)}
