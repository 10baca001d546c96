"""The model box: any model behind one name.

Contract only in this commit: `Model` and `ModelBox` as the pipeline uses them.
"""

from collections.abc import Collection, Sequence

from headrace.models.backend import Backend, Call, Embeddings
from headrace.types import Deltas, Message, Params, Usage

__all__ = ["Model", "ModelBox"]


class Model:
    """A logical name with the deployment that serves it (several, balanced: next issue)."""

    name: str
    backend: Backend
    params: Params
    """The model's own defaults of inference parameters."""

    @property
    def context_tokens(self) -> int:
        return self.backend.context_tokens

    def cost_usd(self, usage: Usage) -> float:
        raise NotImplementedError

    def generate(self, call: Call) -> Deltas:
        raise NotImplementedError

    async def embed(self, inputs: Sequence[str]) -> Embeddings:
        raise NotImplementedError

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        raise NotImplementedError


class ModelBox:
    """All models of a service, by name."""

    def names(self) -> Collection[str]:
        raise NotImplementedError

    def get(self, name: str | None) -> Model:
        """The model of that name, or the default for None; raises UnknownModel."""
        raise NotImplementedError
