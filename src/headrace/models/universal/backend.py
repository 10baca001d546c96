"""The backend for the multilingual Universal Sentence Encoder."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.errors import ModelUnavailable
from headrace.models.encoder.backend import EncoderBackend
from headrace.models.encoder.encoder import Encoder, Tokens
from headrace.models.progress import Progress
from headrace.models.store import ModelStore
from headrace.models.universal.settings import PINNED, UniversalSettings
from headrace.models.universal.tokenizer import PieceTokenizer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from headrace.models.universal.network import Network

__all__ = ["UniversalBackend", "UniversalSettings"]


class UniversalBackend(EncoderBackend):
    """Serves the encoder in this process."""

    provider = "universal_sentence_encoder"
    Settings = UniversalSettings
    pinned = PINNED
    # Its layers' results then stay in the processor's cache; on two cores some 0.1 s.
    batch_tokens = 512

    def __init__(self, settings: UniversalSettings, *, name: str, root: Path, home: Path) -> None:
        super().__init__(name=name, context_tokens=settings.context_tokens, computed_by=settings)
        self.settings = settings
        self._store = ModelStore(home / "models", root=root)

    def open(self, progress: Progress | None) -> Encoder:
        from headrace.models.universal.network import Network

        settings = self.settings
        tokenizer = self._store.fetch(
            settings.tokenizer,
            settings.tokenizer_sha256 or self.pinned.get(settings.tokenizer),
            progress,
        )
        weights = self._store.fetch(
            settings.weights, settings.sha256 or self.pinned.get(settings.weights), progress
        )
        made = PieceTokenizer(tokenizer.path, context_tokens=settings.context_tokens)
        network = Network(weights.path)
        if made.size > network.pieces:
            raise ModelUnavailable(
                f"{tokenizer.path.name} has {made.size} pieces, {weights.path.name} vectors of "
                f"{network.pieces}",
                hint="take both files from one model",
            )
        return _Encoder(made, network)


class _Encoder:
    def __init__(self, tokenizer: PieceTokenizer, network: "Network") -> None:
        self._tokenizer = tokenizer
        self._network = network

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        return self._tokenizer.tokens(texts)

    def vectors(self, batch: Sequence[Tokens]) -> "NDArray[np.float32]":
        return self._network.vectors(batch)
