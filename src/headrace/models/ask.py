"""One call on its way: which deployments are tried, in what order, and what became of each.

A call that has given nothing yet is made again elsewhere, or in the same place after a pause; one
that has begun to answer never is.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec

from headrace.errors import HeadraceError, ModelUnavailable
from headrace.models.backend import Backend, Call
from headrace.models.balance.errors import NoDeploymentLeft, Overloaded
from headrace.models.balance.member import Demand, Outcome
from headrace.models.balance.retry import Retry
from headrace.models.balance.ticket import Ticket
from headrace.models.deployment import Deployment
from headrace.models.errors import (
    DeploymentMisconfigured,
    DeploymentThrottled,
    DeploymentTimeout,
    NotOffered,
)
from headrace.models.failure import Failed, failure_of
from headrace.types import Delta, Deltas, Usage

if TYPE_CHECKING:
    from headrace.models.model import Model

__all__ = ["Ask", "Asking", "outcome_of"]

DEATHS = 2
"""A call that took a runtime down with it so often is not made again."""
_ALL_OUT = "all are out"
_LOOK_EVERY_S = 1.0

T = TypeVar("T")


def outcome_of(error: HeadraceError) -> Outcome:
    """What an error says of the deployment that it came from."""
    if isinstance(error, DeploymentThrottled):
        return Outcome.THROTTLED
    if isinstance(error, DeploymentMisconfigured):
        return Outcome.MISCONFIGURED
    if isinstance(error, DeploymentTimeout):
        return Outcome.TIMED_OUT
    return Outcome.FAILED if isinstance(error, ModelUnavailable) else Outcome.REFUSED


class Asking(Protocol):
    """A call on its way to whoever answers it."""

    @property
    def model(self) -> "Model":
        """Of the models that may answer the one that was asked last."""
        ...

    @property
    def deployment(self) -> Deployment | None:
        """The one that was asked last; None before the first."""
        ...

    @property
    def reason(self) -> str:
        """Why that one, in a word or two for the trace."""
        ...

    @property
    def tried(self) -> list[str]:
        """Every attempt that failed, in order: `chat-0: timed_out`."""
        ...

    def deltas(self, call_for: Callable[["Model"], Call]) -> Deltas:
        """The answer, piece by piece."""
        ...


class Ask:
    """One call to whichever of some models can take it. Use it once."""

    def __init__(
        self,
        models: Sequence["Model"],
        demand: Demand,
        *,
        name: str = "",
        within_s: float | None = None,
    ) -> None:
        """
        Args:
            models: the first is asked first; each later one is the fall-back of those before.
            name: what the request asked for, where that is a route.
            within_s: how long a call that has given nothing yet may wait and be made again;
                absent: as the first model's `balance.queue.wait_s` says.
        """
        self._models = models
        self._name = name or models[0].name
        self._demand = demand
        if within_s is None:
            within_s = models[0].balancer.settings.queue.wait_s
        self._deadline = time.monotonic() + within_s
        self._retries: dict[str, Retry] = {}
        self._failed: list[Failed] = []
        self._lacking: dict[str, NotOffered] = {}
        """Deployments whose protocol has no words for this call, with what each said."""
        self._at = 0
        self._deaths = 0
        self._ticket: Ticket | None = None
        self.model: Model = models[0]
        """Of the models the one that was asked last."""
        self.deployment: Deployment | None = None
        """The one that was asked last; None before the first."""
        self.reason = ""
        """Why that one, in a word or two for the trace."""

    @property
    def tried(self) -> list[str]:
        """Every attempt that failed, in order: `chat-0: timed_out`."""
        return [
            *(f"{member}: not_offered" for member in self._lacking),
            *(f"{each.member}: {each.outcome.value}" for each in self._failed),
        ]

    async def deltas(self, call_for: Callable[["Model"], Call]) -> Deltas:
        """The answer, piece by piece.

        Args:
            call_for: the call as it goes to a model: each has defaults of its own.

        Raises:
            ModelUnavailable: none can be reached, or one broke off in mid-answer.
            DeploymentThrottled: all that were asked want no more calls for a while.
            Overloaded: all are full, and so is the queue.
            HeadraceError: the request was refused.
        """
        while True:
            async with self._attempt() as (backend, ticket):
                call = call_for(self.model)
                usage: Usage | None = None
                patience_s = self._patience_s(ticket)
                async with aclosing(backend.generate(call)) as deltas:
                    if patience_s is not None and (
                        first := await self._first(deltas, ticket, patience_s)
                    ):
                        ticket.first_byte()
                        usage = first.usage
                        yield first
                    async for delta in deltas:
                        if ticket.first_at is None:
                            ticket.first_byte()
                        else:
                            ticket.heard()
                        usage = delta.usage or usage
                        yield delta
                self._succeeded(ticket, backend, usage)
                return

    async def result(self, ask: Callable[[Backend], Awaitable[T]]) -> T:
        """What some other call to a backend gives; made again as `deltas` is."""
        while True:
            async with self._attempt() as (backend, ticket):
                patience_s = self._patience_s(ticket)
                if patience_s is None:
                    found = await ask(backend)
                else:
                    found = await self._in_time(ask(backend), ticket, patience_s)
                self._succeeded(ticket, backend, None)
                return found

    @asynccontextmanager
    async def _attempt(self) -> AsyncGenerator[tuple[Backend, Ticket], None]:
        """One try. An error after which the call is made again does not leave the block."""
        ticket = await self._acquire()
        deployment = self.model.deployment(ticket.member.key)
        while not self._may_go_to(deployment):
            # Its region was changed between the ticket and this moment.
            ticket.done(Outcome.CANCELLED)
            ticket = await self._acquire()
            deployment = self.model.deployment(ticket.member.key)
        self.deployment = deployment
        self.reason = f"fall-back, {ticket.reason}" if self._at else ticket.reason
        backend = deployment.backend
        was_ready = backend.is_ready()
        try:
            with deployment.runner.leases.hold():
                yield backend, ticket
        except HeadraceError as error:
            outcome = outcome_of(error)
            # What a stopped runtime says is no news, and takes nothing from its health.
            shown = outcome if was_ready else Outcome.CANCELLED
            ticket.done(
                shown,
                retry_after_s=getattr(error, "retry_after_s", None),
                limits=backend.rate_limits,
                error=error.message,
            )
            if not await self._is_worthwhile(ticket, outcome, error, was_ready=was_ready):
                raise self._said(error, has_begun=ticket.first_at is not None) from error
        except BaseException:
            ticket.done(Outcome.CANCELLED)
            raise

    def _succeeded(self, ticket: Ticket, backend: Backend, usage: Usage | None) -> None:
        tokens = 0 if usage is None else usage.completion_tokens
        ticket.done(Outcome.OK, tokens=tokens, limits=backend.rate_limits)
        self.model.saw_rtt(ticket.member.key, backend.rtt_s)

    async def _acquire(self) -> Ticket:
        """A deployment for the next attempt."""
        for at in range(self._at, len(self._models)):
            model = self._models[at]
            ticket = model.balancer.try_acquire(self._demand_of(model))
            if ticket is None:
                continue
            if ticket.reason == _ALL_OUT and at + 1 < len(self._models):
                ticket.done(Outcome.CANCELLED)
                continue
            self._at, self.model = at, model
            return ticket
        self.model = model = self._models[self._at]
        try:
            return await model.balancer.acquire(self._demand_of(model), deadline=self._deadline)
        except NoDeploymentLeft as error:
            lack = None if self._failed else next(iter(self._lacking.values()), None)
            raise lack or self._said(error, has_begun=False) from error
        except Overloaded as error:
            raise self._said(error, has_begun=False) from error

    def _demand_of(self, model: "Model") -> Demand:
        retry = self._retries.get(model.name)
        demand = self._demand if retry is None else retry.demand
        if self._lacking:
            demand = msgspec.structs.replace(demand, exclude=demand.exclude | self._lacking.keys())
        if model.regions is None or demand.regions == model.regions:
            return demand
        both = model.regions if demand.regions is None else demand.regions & model.regions
        return msgspec.structs.replace(demand, regions=both)

    def _may_go_to(self, deployment: Deployment) -> bool:
        regions = self._demand_of(self.model).regions
        return regions is None or deployment.place.region in regions

    def _retry_of(self, model: "Model") -> Retry:
        retry = self._retries.get(model.name)
        if retry is None:
            demand = self._demand_of(model)
            retry = model.balancer.retry(demand, deadline=self._deadline)
            self._retries[model.name] = retry
        return retry

    def _patience_s(self, ticket: Ticket) -> float | None:
        """A single deployment's own limits hold; among several, silence is cut short."""
        is_alone = len(self._models) == 1 and len(self.model.deployments) == 1
        return None if is_alone else ticket.patience_s

    async def _first(self, deltas: Deltas, ticket: Ticket, patience_s: float) -> Delta | None:
        """The first delta, if it comes in time; None of an answer that is empty."""
        return await self._in_time(anext(deltas, None), ticket, patience_s)

    async def _in_time(self, coming: Awaitable[T], ticket: Ticket, patience_s: float) -> T:
        """What comes first from a deployment; an error once it seems that nothing will."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        # Suspicion alone ends one attempt and no second, as an answer may just take long; unless
        # there is no time left for another.
        is_first = all(each.outcome is not Outcome.TIMED_OUT for each in self._failed)
        from_s = 0.0 if is_first else self._deadline - time.monotonic()
        try:
            async with asyncio.timeout(patience_s) as timer:
                with _Watch(ticket, timer, from_s):
                    return await coming
        except TimeoutError as error:
            seconds = loop.time() - began
            raise DeploymentTimeout(f"no answer began within {seconds:.1f} s") from error

    async def _is_worthwhile(
        self, ticket: Ticket, outcome: Outcome, error: HeadraceError, *, was_ready: bool
    ) -> bool:
        """Whether the call is made again, after the pause that it takes."""
        if ticket.first_at is None and isinstance(error, NotOffered):
            return self._is_offered_elsewhere(ticket, error)
        if ticket.first_at is not None or not isinstance(error, ModelUnavailable):
            return False
        self._failed.append(Failed(ticket.member.key, outcome, error))
        pause_s = self._retry_of(self.model).after(ticket, outcome, error.message)
        if pause_s == 0.0:
            return True
        if self._at + 1 < len(self._models):
            self._at += 1
            return True
        return pause_s is not None and await self._comes_back(pause_s, was_ready=was_ready)

    def _is_offered_elsewhere(self, ticket: Ticket, error: NotOffered) -> bool:
        """Go on to whoever speaks another protocol."""
        self._lacking[ticket.member.key] = error
        if all(each.key in self._lacking for each in self.model.deployments):
            if self._at + 1 == len(self._models):
                return False
            self._at += 1
        return True

    async def _comes_back(self, pause_s: float, *, was_ready: bool) -> bool:
        """Wait for the deployment that failed last: nobody else is left to ask."""
        assert self.deployment is not None
        backend = self.deployment.backend
        if was_ready and not backend.is_ready():
            self._deaths += 1
        if self._deaths >= DEATHS:
            return False
        if was_ready:
            await asyncio.sleep(pause_s)
        return await backend.wait_ready(self._deadline - time.monotonic())

    def _said(self, error: HeadraceError, *, has_begun: bool) -> HeadraceError:
        """The error as the caller gets it: with all that was tried."""
        is_refused = not isinstance(error, ModelUnavailable | Overloaded)
        if is_refused or has_begun or not self._failed:
            return error
        return failure_of(self._name, self._failed, error, self._pause_s())

    def _pause_s(self) -> float:
        """When the first of those that may be asked takes calls again, as far as is known."""
        return min(
            (
                max(each.paused_for_s, each.ejected_for_s)
                for model in self._models
                for each in model.balancer.snapshot()
            ),
            default=0.0,
        )


class _Watch:
    """Ends a wait for a first byte early once the deployment seems to be frozen."""

    def __init__(self, ticket: Ticket, timer: asyncio.Timeout, from_s: float) -> None:
        """
        Args:
            from_s: seconds from now before which nothing is suspected.
        """
        self._ticket = ticket
        self._timer = timer
        self._first_s = max(_LOOK_EVERY_S, from_s)
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> None:
        self._next = self._loop.call_later(self._first_s, self._look)

    def __exit__(self, *_: object) -> None:
        self._next.cancel()

    def _look(self) -> None:
        if self._ticket.is_hopeless:
            self._timer.reschedule(self._loop.time())
        else:
            self._next = self._loop.call_later(_LOOK_EVERY_S, self._look)
