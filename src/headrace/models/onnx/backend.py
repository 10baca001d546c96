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
    # On two cores some 0.05 s. More at a time leave the cores' caches: 9.0 s of processor time for
    # 188 chunks of the docs with 2,048, 7.7 with 512, 7.1 with 256.
    batch_tokens = 256

    def __init__(self, settings: OnnxSettings, *, name: str, root: Path, home: Path) -> None:
        super().__init__(
            name=name,
            context_tokens=settings.context_tokens,
            computed_by=_computed_by(settings),
            query_prefix=settings.query_prefix,
            passage_prefix=settings.passage_prefix,
        )
        self.settings = settings
        if settings.arithmetic == "int8":
            # Each text alone: what is measured of a batch to choose its 8 bits would let its
            # neighbours into a vector.
            self.batch_tokens = 1
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
            arithmetic=settings.arithmetic,
        )


def _computed_by(settings: OnnxSettings) -> dict[str, object]:
    """What decides a vector. The usual arithmetic goes unsaid: vectors from before it could be
    chosen are the same."""
    said = msgspec.structs.asdict(msgspec.structs.replace(settings, threads=1))
    if settings.arithmetic == "float32":
        del said["arithmetic"]
    return said
