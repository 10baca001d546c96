"""Where an answer comes from: kept, shared with another call, or asked anew."""

from collections.abc import Awaitable, Callable
from typing import Literal, TypeAlias

from headrace.models.ask import Asking
from headrace.models.cache.entry import Entry, replay
from headrace.telemetry.trace import AttributeValue
from headrace.types import Deltas

__all__ = ["Result", "Source"]

Result: TypeAlias = Literal["hit", "semantic", "miss", "coalesced", "bypass"]


class Source:
    """One answer on its way, and what there is to say of where it is from."""

    __slots__ = ("age_s", "ask", "deltas", "embedding_usd", "entry", "is_shown", "key", "leave", "pays", "reason", "result", "similarity")  # fmt: skip

    def __init__(
        self,
        result: Result,
        deltas: Deltas,
        *,
        ask: Asking | None = None,
        entry: Entry | None = None,
        pays: Callable[[], bool] = lambda: True,
    ) -> None:
        self.result: Result = result
        self.deltas = deltas
        self.ask = ask
        """The call upstream; None for a kept answer."""
        self.entry = entry
        """The kept answer."""
        self.pays = pays
        """Whether the call upstream is on this turn's bill; known once the answer has ended."""
        self.leave: Callable[[], Awaitable[None]] | None = None
        """Lets go of a shared call, also where its deltas were never asked for."""
        self.key: bytes | None = None
        """Under which the answer is kept, or may be."""
        self.reason = ""
        """Why it went past the cache."""
        self.is_shown = True
        """False where nothing is kept at all, so that there is nothing to tell."""
        self.similarity: float | None = None
        self.age_s: float | None = None
        self.embedding_usd = 0.0
        """What comparing the question has cost."""

    async def close(self) -> None:
        """Ask for no more. Closing it again does nothing."""
        await self.deltas.aclose()
        if self.leave is not None:
            await self.leave()

    @property
    def attributes(self) -> dict[str, AttributeValue]:
        """For the span of the model call."""
        said: dict[str, AttributeValue] = {}
        if self.result == "coalesced":
            said["headrace.cache.coalesced"] = True
        if not self.is_shown:
            return said
        said["headrace.cache.result"] = "miss" if self.result == "coalesced" else self.result
        if self.reason:
            said["headrace.cache.reason"] = self.reason
        if self.similarity is not None:
            said["headrace.cache.similarity"] = round(self.similarity, 4)
        if self.age_s is not None:
            said["headrace.cache.age_s"] = round(self.age_s, 3)
        return said


async def replayed(entry: Entry) -> Deltas:
    """The kept answer's deltas, one after the other without a pause."""
    for delta in replay(entry):
        yield delta
