"""The backend for sentence encoders in ONNX files."""

from pathlib import Path

import msgspec

from headrace.models.encoder.backend import EncoderBackend
from headrace.models.encoder.encoder import Encoder
from headrace.models.onnx.settings import PINNED, OnnxSettings
from headrace.models.progress import Progress
from headrace.models.store import ModelStore

__all__ = ["OnnxBackend", "OnnxSettings"]


class OnnxBackend(EncoderBackend):
    """Serves one ONNX file with its `tokenizer.json`."""

    provider = "onnx"
    Settings = OnnxSettings
    pinned = PINNED
    # On two cores some 0.1 s. More at a time leave the cores' caches: 9.0 s of processor time for
    # 188 chunks of the docs with 2,048, 7.7 with 512, 7.1 with 256.
    batch_tokens = 512

    def __init__(self, settings: OnnxSettings, *, name: str, root: Path, home: Path) -> None:
        super().__init__(
            name=name,
            context_tokens=settings.context_tokens,
            computed_by=msgspec.structs.replace(settings, threads=1),
            query_prefix=settings.query_prefix,
            passage_prefix=settings.passage_prefix,
        )
        self.settings = settings
        self._store = ModelStore(home / "models", root=root)

    def open(self, progress: Progress | None) -> Encoder:
        from headrace.models.onnx.session import Session

        settings = self.settings
        weights = self._store.fetch(
            settings.weights, settings.sha256 or self.pinned.get(settings.weights), progress
        )
        tokenizer = self._store.fetch(
            settings.tokenizer,
            settings.tokenizer_sha256 or self.pinned.get(settings.tokenizer),
            progress,
        )
        return Session(
            weights.path,
            tokenizer.path,
            pooling=settings.pooling,
            context_tokens=settings.context_tokens,
            threads=settings.threads,
        )
