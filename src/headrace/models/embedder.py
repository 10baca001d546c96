"""Vectors of texts by a model of the box, for rooms that compare meanings."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.config.load import load_service
from headrace.models.box import ModelBox
from headrace.models.builder import EMBEDDING
from headrace.models.encoder.backend import EncoderBackend
from headrace.models.encoder.encoder import unit_rows
from headrace.models.model import Target
from headrace.models.progress import Progress
from headrace.types import TextKind

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["ModelEmbedder", "open_embedder"]

BATCH_TEXTS = 64
AT_ONCE = 4
"""Requests on their way to a server at a time."""


class ModelEmbedder:
    """An `Embedder` (see types.py) that asks one model. Every vector has unit length."""

    def __init__(self, model: Target) -> None:
        self._model = model
        self._backends = [each.backend for each in model.first.deployments]
        self.truncated = 0
        """Texts so far of which only the beginning counted, where the model says so."""

    @property
    def name(self) -> str:
        """The model's name."""
        return self._model.name

    @property
    def id(self) -> str:
        """By what is served, not by its name: the same weights elsewhere make the same vectors."""
        served = sorted({each.digest for each in self._backends})
        return hashlib.sha256("\n".join(served).encode()).hexdigest()[:32]

    async def load(self, progress: Progress | None = None) -> None:
        """Have the model ready before the first text comes, where that takes a while."""
        for each in self._backends:
            if isinstance(each, EncoderBackend):
                await each.load(progress)

    async def embed(
        self, texts: Sequence[str], *, kind: TextKind = "passage"
    ) -> "NDArray[np.float32]":
        """One row per text, in order.

        Raises:
            ModelUnavailable: the model is down.
            WeightsUnavailable: it cannot be fetched.
        """
        import numpy as np

        if not texts:
            return np.zeros((0, 0), np.float32)
        # One that runs here gives rows as they are; among several, the balancer chooses.
        if len(self._backends) == 1 and isinstance(here := self._backends[0], EncoderBackend):
            rows, tokens = await here.embed_rows(texts, kind=kind)
            self.truncated += sum(each.is_cut for each in tokens)
            return rows
        limit = asyncio.Semaphore(AT_ONCE)

        async def part(begin: int) -> "NDArray[np.float32]":
            async with limit:
                made, _ = await self._model.embed(texts[begin : begin + BATCH_TEXTS], kind=kind)
            self.truncated += len(made.truncated)
            return np.asarray(made.vectors, np.float32)

        rows = np.concatenate(
            await asyncio.gather(*(part(begin) for begin in range(0, len(texts), BATCH_TEXTS)))
        )
        return unit_rows(rows)


@asynccontextmanager
async def open_embedder(
    root: Path,
    home: Path,
    environ: Mapping[str, str],
    *,
    name: str = EMBEDDING,
    progress: Progress | None = None,
) -> AsyncIterator[ModelEmbedder]:
    """An embedder of its own, for commands that work without a running service.

    Raises:
        UnknownModel: the service declares none of that name.
        HeadraceError: it cannot be fetched or started.
    """
    box = ModelBox.build(load_service(root, environ), home, environ, only={name})
    try:
        await box.start(progress)
        embedder = ModelEmbedder(box.get(name))
        await embedder.load(progress)
        yield embedder
    finally:
        await box.stop()
