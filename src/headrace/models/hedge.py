"""A call that is slow to begin is made at a second deployment as well; whoever begins first goes on.

Source: Dean and Barroso, The Tail at Scale (2013). Off unless `balance.hedge.share` is set.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING

import msgspec

from headrace.errors import HeadraceError
from headrace.models.ask import Ask
from headrace.models.backend import Call
from headrace.models.balance.member import Demand
from headrace.models.deployment import Deployment
from headrace.types import Delta, Deltas

if TYPE_CHECKING:
    from headrace.models.model import Model

__all__ = ["HedgedAsk"]


class HedgedAsk:
    """The same surface as `Ask`, for models whose balancer may send a call twice."""

    def __init__(self, models: Sequence["Model"], demand: Demand, *, name: str = "") -> None:
        self._models = models
        self._name = name
        self._demand = demand
        self._asks = [Ask(models, demand, name=name)]
        self._winner = self._asks[0]

    @property
    def model(self) -> "Model":
        return self._winner.model

    @property
    def deployment(self) -> Deployment | None:
        return self._winner.deployment

    @property
    def reason(self) -> str:
        return self._winner.reason if len(self._asks) == 1 else f"hedged, {self._winner.reason}"

    @property
    def tried(self) -> list[str]:
        return [each for ask in self._asks for each in ask.tried]

    async def deltas(self, call_for: Callable[["Model"], Call]) -> Deltas:
        """The answer of whichever deployment begins first. Raises as `Ask.deltas`."""
        generators = [self._asks[0].deltas(call_for)]
        firsts = [asyncio.ensure_future(anext(generators[0], None))]
        try:
            await asyncio.wait(firsts, timeout=self._models[0].balancer.hedge.delay_s)
            if not firsts[0].done() and (second := self._second()) is not None:
                self._asks.append(second)
                generators.append(second.deltas(call_for))
                firsts.append(asyncio.ensure_future(anext(generators[1], None)))
            at, first = await _quickest(firsts)
        except BaseException:
            await _given_up(firsts, generators)
            raise
        self._winner = self._asks[at]
        await _given_up(firsts[:at] + firsts[at + 1 :], generators[:at] + generators[at + 1 :])
        async with aclosing(generators[at]) as deltas:
            if first is not None:
                yield first
            async for delta in deltas:
                yield delta

    def _second(self) -> Ask | None:
        """A second call elsewhere, if the share of such calls is not used up."""
        first = self._asks[0].deployment
        if first is None or not self._models[0].balancer.hedge.spend():
            return None
        exclude = self._demand.exclude | {first.key}
        return Ask(
            self._models, msgspec.structs.replace(self._demand, exclude=exclude), name=self._name
        )


async def _quickest(
    firsts: "Sequence[asyncio.Future[Delta | None]]",
) -> tuple[int, Delta | None]:
    """Which of them has a first delta first; an error counts only once all have failed."""
    pending = set(firsts)
    failure: BaseException | None = None
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        for each in sorted(done, key=firsts.index):
            error = each.exception()
            if error is None:
                return firsts.index(each), each.result()
            failure = failure or error
            if not isinstance(error, HeadraceError):
                raise error
    assert failure is not None
    raise failure


async def _given_up(
    firsts: "Sequence[asyncio.Future[Delta | None]]", generators: Sequence[Deltas]
) -> None:
    """Nobody waits for these any more: free their deployments."""
    for each in firsts:
        each.cancel()
    await asyncio.gather(*firsts, return_exceptions=True)
    for generator in generators:
        with suppress(HeadraceError):
            await generator.aclose()
