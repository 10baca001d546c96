"""The platform of one of several workers: what concerns the whole service is asked of all."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field

from headrace.pipeline.service import Platform
from headrace.server.workers.peer import SAMPLES_PATH, Peers
from headrace.server.workers.scrape import Figures, page_of

__all__ = ["WorkerPlatform"]


@dataclass(slots=True, kw_only=True)
class WorkerPlatform(Platform):
    """See the module."""

    peers: Peers
    figures: Figures = field(init=False)

    def __post_init__(self) -> None:
        kept = self.peers.folder / f"{self.peers.slot}.figures"
        self.figures = Figures(self.metrics.registry, kept)

    async def flush(self, timeout_s: float = 2.0) -> None:
        """See `Platform`: what any worker has recorded."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                await asyncio.gather(self.writer.flush(), self.peers.flush_others())

    async def scrape(self) -> bytes:
        """See `Platform`: all workers' together."""
        others = self.peers.others()
        own, *answers = await asyncio.gather(
            asyncio.to_thread(self.figures.tell),
            *(self.peers.ask(slot, SAMPLES_PATH) for slot in others),
        )
        told = {self.peers.slot: own} if own is not None else {}
        told |= {slot: said for slot, said in zip(others, answers, strict=True) if said is not None}
        lost = {
            slot: Figures.read(self.peers.folder / f"{slot}.figures")
            for slot in others
            if slot not in told
        }
        return await asyncio.to_thread(page_of, told, lost)
