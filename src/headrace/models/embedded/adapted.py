"""The embedded backend for a model with an adapter: a request to the process that has them all.

All adapters of a base share one process, beside the one that serves the base alone. Another set of
adapters is another process: the new one starts, the service turns to it, and the old one ends once
its answers have. docs/decisions/0084-adapters.md says why, and what it costs.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path

from headrace.errors import InvalidRequest
from headrace.models.backend import Embeddings
from headrace.models.embedded.backend import EmbeddedBackend
from headrace.models.embedded.runtime import Runtime
from headrace.models.embedded.settings import AdaptedSettings
from headrace.models.embedded.shared import SharedRuntime
from headrace.models.progress import Progress
from headrace.types import TextKind

__all__ = ["AdaptedBackend"]


class AdaptedBackend(EmbeddedBackend):
    """Serves one adapter on a GGUF file."""

    settings: AdaptedSettings

    def __init__(self, settings: AdaptedSettings, *, name: str, root: Path, home: Path) -> None:
        super().__init__(settings, name=name, root=root, home=home)
        self._home = home
        self.place = settings.place
        self.adapter = settings.adapter.digest or (settings.adapter.sha256 or "").lower()
        """What sits on the weights: the registry's digest, or the file's SHA-256."""
        self._weights = self.digest
        self.digest = f"{self._weights}+{self.adapter}"
        self._shared: SharedRuntime | None = None

    async def start(self, progress: Progress | None = None) -> None:
        """See `Backend`.

        Raises:
            AdapterUnusable: an adapter of the process is another base's, or no adapter.
        """
        await super().start(progress)
        kept = self._store.find(self.settings.adapter.reference)
        if not self.settings.adapter.digest and kept is not None:
            self.adapter = kept.sha256
        weights = self._runtime.digest if self._runtime is not None else self._weights
        self.digest = f"{weights}+{self.adapter}"

    async def embed(self, inputs: Sequence[str], *, kind: TextKind | None = None) -> Embeddings:
        """
        Raises:
            InvalidRequest: always; llama.cpp embeds with the base alone.
        """
        del inputs, kind
        raise InvalidRequest(
            f"the model {self._name!r} has an adapter, which makes no embeddings",
            hint="ask its base model for them",
            param="model",
        )

    def _new_runtime(self) -> Runtime:
        self._shared = SharedRuntime(self.settings.of_process(), self._store, self._home)
        return self._shared

    def _turn(self) -> AbstractAsyncContextManager[None]:
        if self._shared is None:
            return nullcontext()
        return self._shared.turns.take(self.settings.place)
