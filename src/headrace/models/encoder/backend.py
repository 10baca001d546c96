"""A backend for embeddings on this machine. Nothing is fetched or loaded before the first text."""

import asyncio
import hashlib
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar

import msgspec

from headrace.models.backend import Call, Embeddings, ListedModel, RateLimits
from headrace.models.encoder.encoder import Encoder, Tokens
from headrace.models.encoder.line import Line
from headrace.models.errors import NotOffered
from headrace.models.progress import Progress
from headrace.types import Delta, Deltas, Message, TextKind, Usage

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["EncoderBackend"]


class EncoderBackend(ABC):
    """Serves one sentence encoder. It embeds; it answers nothing."""

    provider: ClassVar[str]
    pinned: ClassVar[Mapping[str, str]] = {}
    """SHA-256 of the files of the backend's defaults, by reference."""
    batch_tokens: int
    """Tokens computed in one go; what a question that comes then waits for."""

    def __init__(
        self,
        *,
        name: str,
        context_tokens: int,
        computed_by: object,
        query_prefix: str = "",
        passage_prefix: str = "",
    ) -> None:
        """
        Args:
            computed_by: the settings that decide what a vector is; files are pinned under their
                references.
        """
        self.context_tokens = context_tokens
        self.capacity: int | None = None
        self.rate_limits: RateLimits | None = None
        self.rtt_s: float | None = None
        self.digest = hashlib.sha256(msgspec.json.encode(computed_by)).hexdigest()
        self._name = name
        self._prefixes: dict[TextKind | None, str] = {
            "query": query_prefix,
            "passage": passage_prefix,
            None: passage_prefix,
        }
        self._encoder: Encoder | None = None
        self._loading = asyncio.Lock()
        self._line: Line[NDArray[np.float32]] = Line(clock=time.monotonic)

    @abstractmethod
    def open(self, progress: Progress | None) -> Encoder:
        """Fetch the model's files and load them. Runs in a thread.

        Raises:
            WeightsUnavailable: a file cannot be had, or is another one.
            ModelUnavailable: the files are no model that embeds.
        """

    async def start(self, progress: Progress | None = None) -> None:  # noqa: B027 - as every backend
        """Nothing: a service that embeds nothing should fetch nothing. See `load`."""

    async def load(self, progress: Progress | None = None) -> Encoder:
        """Fetch and load the model if that has not been done; raises as `open`."""
        async with self._loading:
            if self._encoder is None:
                self._encoder = await asyncio.to_thread(self.open, progress)
            return self._encoder

    async def stop(self) -> None:
        """Free the memory; what is in line fails."""
        await self._line.close()
        self._encoder = None

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

    async def embed(self, inputs: Sequence[str], *, kind: TextKind | None = None) -> Embeddings:
        """Vectors as `/v1/embeddings` gives them; without a kind, of passages."""
        rows, tokens = await self.embed_rows(inputs, kind=kind)
        return Embeddings(
            rows.tolist(),
            Usage(prompt_tokens=sum(len(each.ids) for each in tokens)),
            truncated=tuple(at for at, each in enumerate(tokens) if each.is_cut),
        )

    async def embed_rows(
        self, inputs: Sequence[str], *, kind: TextKind | None = None
    ) -> "tuple[NDArray[np.float32], list[Tokens]]":
        """The vectors as rows, and the tokens that were read; raises as `open`."""
        import numpy as np

        encoder = await self.load()
        prefix = self._prefixes[kind]
        texts = [prefix + each for each in inputs] if prefix else inputs
        tokens = await asyncio.to_thread(encoder.tokens, texts)
        # Texts of like length together: a batch is computed as if all were as long as its longest.
        order = sorted(range(len(tokens)), key=lambda at: len(tokens[at].ids))
        parts: list[list[int]] = []
        for at in order:
            size = len(tokens[at].ids)
            if not parts or (len(parts[-1]) + 1) * size > self.batch_tokens:
                parts.append([])
            parts[-1].append(at)
        costs = [sum(len(tokens[at].ids) for at in part) for part in parts]
        computed = await self._line.run(
            [partial(encoder.vectors, [tokens[at] for at in part]) for part in parts], costs
        )
        joined = np.concatenate(computed)
        rows = np.empty_like(joined)
        rows[order] = joined
        return rows, tokens

    async def listed(self) -> Sequence[ListedModel]:
        return ()

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        encoder = await self.load()
        texts = [each.text() for each in messages]
        return sum(len(each.ids) for each in await asyncio.to_thread(encoder.tokens, texts))

    def token_upper_bound(self, messages: Sequence[Message]) -> int | None:
        # Pieces are never shorter than a byte; a beginning, an end and a blank before are added.
        return sum(len(each.text().encode()) + 3 for each in messages)
