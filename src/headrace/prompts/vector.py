"""Vectors by content: a text of a service's files is embedded once, and built-in questions never.

The built-in templates' questions come with their vectors of the built-in multilingual model
(written by tools/embed_asks.py); with another model they are computed like any other.
"""

import asyncio
import contextlib
import hashlib
import tempfile
import zipfile
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
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

    async def ready(self, texts: Sequence[str], folder: Path) -> None:
        """Have the vectors of these at hand: as an earlier process kept them, or made and kept.

        Raises:
            ModelUnavailable, WeightsUnavailable: the embedding model cannot be asked.
        """
        name = self._embedder.id
        path = folder / f"{name}.npz"
        await asyncio.to_thread(_read, path, name)
        shipped = await asyncio.to_thread(_shipped, name)
        own = [each for each in dict.fromkeys(map(key_of, texts)) if each not in shipped]
        is_new = any((name, each) not in _kept for each in own)
        await self.of(texts)
        if is_new:
            await asyncio.to_thread(_write, path, name, own)

    async def one(self, text: str) -> "NDArray[np.float32]":
        """The vector of a user's message, which is not kept."""
        row: NDArray[np.float32] = (await self._embedder.embed([text], kind="query"))[0]
        return row


def key_of(text: str) -> bytes:
    """What a text is found by."""
    return hashlib.sha256(text.encode()).digest()[:16]


def _read(path: Path, name: str) -> None:
    """Take what is kept there; a file that is absent or damaged costs time only."""
    import numpy as np

    with contextlib.suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        with np.load(path) as data:
            rows = data["rows"].astype(np.float32)
            keys = data["keys"]
        for key, row in zip(keys, rows, strict=True):
            _kept.setdefault((name, bytes(key)), row)


def _write(path: Path, name: str, keys: Sequence[bytes]) -> None:
    """Keep these, and no others; where that cannot be done, they are made again next time."""
    import numpy as np

    rows = np.stack([_kept[name, key] for key in keys]).astype(np.float16)
    with contextlib.suppress(OSError):
        path.parent.mkdir(mode=0o700, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
            np.savez(file, keys=np.frombuffer(b"".join(keys), np.uint8).reshape(-1, 16), rows=rows)
        Path(file.name).replace(path)


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
