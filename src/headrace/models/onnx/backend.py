"""The backend for embeddings on this machine. Nothing is fetched or loaded before the first text."""

import asyncio
import hashlib
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from headrace.models.backend import Call, Embeddings, ListedModel, RateLimits
from headrace.models.errors import NotOffered
from headrace.models.onnx.line import Line
from headrace.models.onnx.settings import PINNED, OnnxSettings
from headrace.models.progress import Progress
from headrace.models.store import ModelStore
from headrace.types import Delta, Deltas, Message, Usage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from headrace.models.onnx.session import Session

__all__ = ["OnnxBackend", "OnnxSettings"]

BATCH_TOKENS = 2048
"""Tokens computed in one go: on two cores some 0.6 s, the longest that a question waits."""


class OnnxBackend:
    """Serves one sentence encoder. It embeds; it answers nothing."""

    provider = "onnx"
    Settings = OnnxSettings

    def __init__(self, settings: OnnxSettings, *, name: str, root: Path, home: Path) -> None:
        self.settings = settings
        self.context_tokens = settings.context_tokens
        self.capacity: int | None = None
        self.rate_limits: RateLimits | None = None
        self.rtt_s: float | None = None
        # What is computed follows from these; files are pinned under their references.
        self.digest = hashlib.sha256(
            msgspec.json.encode(msgspec.structs.replace(settings, threads=1))
        ).hexdigest()
        self._name = name
        self._store = ModelStore(home / "models", root=root)
        self._session: Session | None = None
        self._loading = asyncio.Lock()
        self._line: Line[NDArray[np.float32]] = Line(clock=time.monotonic)

    async def start(self, progress: Progress | None = None) -> None:
        """Nothing: a service that embeds nothing should fetch nothing. See `load`."""

    async def load(self, progress: Progress | None = None) -> "Session":
        """Fetch and load the model if that has not been done.

        Raises:
            WeightsUnavailable: a file cannot be had, or is another one.
            ModelUnavailable: the files are no model that embeds.
        """
        async with self._loading:
            if self._session is None:
                self._session = await asyncio.to_thread(self._load, progress)
            return self._session

    async def stop(self) -> None:
        """Free the memory; what is in line fails."""
        await self._line.close()
        self._session = None

    def is_ready(self) -> bool:
        return True

    async def wait_ready(self, timeout_s: float) -> bool:
        del timeout_s
        return True

    async def generate(self, call: Call) -> Deltas:
        """
        Raises:
            NotOffered: always.
        """
        del call
        nothing: tuple[Delta, ...] = ()
        for each in nothing:  # what makes this a generator
            yield each
        raise NotOffered(
            f"the model {self._name!r} makes embeddings, it does not answer",
            hint="name a chat model, or ask /v1/embeddings",
            param="model",
        )

    async def embed(self, inputs: Sequence[str]) -> Embeddings:
        """Vectors of passages, as `/v1/embeddings` gives them."""
        rows, tokens = await self.embed_rows(inputs)
        return Embeddings(rows.tolist(), Usage(prompt_tokens=tokens))

    async def embed_rows(
        self, inputs: Sequence[str], *, kind: Literal["query", "passage"] = "passage"
    ) -> "tuple[NDArray[np.float32], int]":
        """The vectors as rows, and the tokens that were read.

        Raises:
            WeightsUnavailable, ModelUnavailable: as `load`.
        """
        import numpy as np

        session = await self.load()
        prefix = self.settings.query_prefix if kind == "query" else self.settings.passage_prefix
        texts = [prefix + each for each in inputs] if prefix else inputs
        tokens = await asyncio.to_thread(session.tokens, texts)
        # Texts of like length together: a batch is computed as if all were as long as its longest.
        order = sorted(range(len(tokens)), key=lambda at: len(tokens[at].ids))
        parts: list[list[int]] = []
        for at in order:
            size = len(tokens[at].ids)
            if not parts or (len(parts[-1]) + 1) * size > BATCH_TOKENS:
                parts.append([])
            parts[-1].append(at)
        costs = [sum(len(tokens[at].ids) for at in part) for part in parts]
        computed = await self._line.run(
            [partial(session.vectors, [tokens[at] for at in part]) for part in parts], costs
        )
        joined = np.concatenate(computed)
        rows = np.empty_like(joined)
        rows[order] = joined
        return rows, sum(costs)

    async def listed(self) -> Sequence[ListedModel]:
        return ()

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        session = await self.load()
        return sum(len(each.ids) for each in session.tokens([m.text() for m in messages]))

    def token_upper_bound(self, messages: Sequence[Message]) -> int | None:
        # Word pieces are never shorter than a byte.
        return sum(len(each.text().encode()) + 2 for each in messages)

    def _load(self, progress: Progress | None) -> "Session":
        from headrace.models.onnx.session import Session

        settings = self.settings
        weights = self._store.fetch(
            settings.weights, settings.sha256 or PINNED.get(settings.weights), progress
        )
        tokenizer = self._store.fetch(
            settings.tokenizer,
            settings.tokenizer_sha256 or PINNED.get(settings.tokenizer),
            progress,
        )
        return Session(
            weights.path,
            tokenizer.path,
            pooling=settings.pooling,
            context_tokens=settings.context_tokens,
            threads=settings.threads,
        )
