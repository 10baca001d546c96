"""What the step has beside its policy: the service's models, and what confirms."""

from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from headrace.errors import ModelUnavailable
from headrace.models.backend import Call
from headrace.models.box import ModelBox
from headrace.pipeline.steps.screen.confirm import Confirmations
from headrace.screening.worker import Worker
from headrace.types import Embedder, Message, Params

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Kit"]


@dataclass(slots=True)
class Kit:
    """The `Tools` of costly detectors, and what a turn's decisions need. Empty: none of it is there."""

    models: ModelBox | None = None
    embedder: Embedder | None = None
    has_tools: bool = False
    """Whether the model may do things while it answers, so that it must not begin unseen."""
    confirmations: Confirmations = field(default_factory=Confirmations)
    workers: dict[str, Worker] = field(default_factory=dict)
    """Processes of detectors that compute, by name."""

    async def embed(self, texts: Sequence[str]) -> "NDArray[np.float32]":
        if self.embedder is None:
            raise ModelUnavailable("there is no embedding model here")
        return await self.embedder.embed(texts)

    async def ask(
        self,
        messages: Sequence[Message],
        *,
        model: str | None,
        max_tokens: int,
        response_format: dict[str, object] | None = None,
    ) -> str:
        if self.models is None:
            raise ModelUnavailable("there are no models here")
        target = self.models.get(model)
        asked = Params(temperature=0.0, max_tokens=max_tokens, response_format=response_format)
        params = asked.over(target.params)
        call = Call(messages=messages, params=params, stream=False)
        async with aclosing(target.ask(call).deltas(lambda _: call)) as deltas:
            return "".join([delta.text async for delta in deltas])

    def worker(self, name: str) -> Worker:
        """The process of a detector, the same for every turn."""
        if name not in self.workers:
            self.workers[name] = Worker(name)
        return self.workers[name]
