"""A logical model, and a route: what a request may name, and how it is asked."""

import zlib
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from random import Random

from headrace.access.principal import Principal
from headrace.errors import InvalidRequest, ModelUnavailable
from headrace.models.ask import Ask, Asking
from headrace.models.backend import (
    Backend,
    Call,
    Embeddings,
    ModeratingBackend,
    ModerationInput,
    ModerationResult,
)
from headrace.models.balance.balancer import Balancer
from headrace.models.balance.member import Demand
from headrace.models.balance.settings import BalanceSettings
from headrace.models.deployment import Deployment
from headrace.models.estimate import estimate_tokens
from headrace.models.hedge import HedgedAsk
from headrace.models.tuned import Tuned
from headrace.types import Message, Params, TextKind

__all__ = ["PREFIX_CHARS", "Model", "Route", "Target", "prefix_of"]

_ANSWER_TOKENS = 256
"""Length of an answer of which nobody says how long it may be."""
PREFIX_CHARS = 1024
"""So much of the beginning decides to which deployment's cache a prompt belongs."""


class Target(ABC):
    """What a request's `model` may name."""

    name: str
    params: Params
    """Defaults of inference parameters, below the request's and the template's."""
    regions: frozenset[str] | None
    """The only regions whose deployments may be asked; None: any."""
    owner: Tuned | None = None
    """Whose fine-tune it is; None: it is everybody's."""

    def is_open_to(self, principal: Principal) -> bool:
        """Whether somebody may ask it at all; for whom it is not, it is not there."""
        return self.owner is None or self.owner.is_open_to(principal)

    @abstractmethod
    def order(self) -> Sequence["Model"]:
        """The models that may answer; each later one is the fall-back of those before."""

    def among(self, names: Collection[str] | None) -> "Target":
        """The same with those of its models alone; None: with all of them."""
        del names
        return self

    @property
    @abstractmethod
    def first(self) -> "Model":
        """The model that stands for this name wherever it must always be the same one."""

    @property
    def context_tokens(self) -> int:
        """Longest prompt plus answer that every deployment takes, in tokens."""
        return min(
            each.backend.context_tokens for model in self.order() for each in model.deployments
        )

    def ask(self, call: Call) -> Asking:
        """A call on its way: iterate its `deltas`."""
        models = self.order()
        demand = _demand(models, call, self.regions)
        if len(models[0].deployments) > 1 and models[0].balancer.hedge.delay_s is not None:
            return HedgedAsk(models, demand, name=self.name)
        return Ask(models, demand, name=self.name)

    @property
    def data_regions(self) -> frozenset[str] | None:
        """The only regions that a prompt for this name may go to, whatever is asked with it."""
        return None  # a model keeps to the service's own rules, and so does any other

    async def embed(
        self,
        inputs: Sequence[str],
        *,
        kind: TextKind | None = None,
        within: frozenset[str] | None = None,
    ) -> tuple[Embeddings, Deployment]:
        """One vector per input, and who made them.

        Args:
            kind: what the inputs are; see `Backend.embed`.
            within: `data_regions` of who the texts are for, if that is somebody else.

        Raises:
            ModelUnavailable: down for longer than a request waits.
        """
        # Vectors of different models cannot be compared: always the same one, and no fall-back.
        ask = Ask([self.first], Demand(streamed=False, regions=_both(self.regions, within)))
        made = await ask.result(lambda backend: backend.embed(inputs, kind=kind))
        assert ask.deployment is not None
        return made, ask.deployment

    async def moderate(self, given: ModerationInput) -> Sequence[ModerationResult]:
        """What the model says about each input.

        Raises:
            InvalidRequest: it judges no texts, or refuses what was given.
            ModelUnavailable: down for longer than a request waits.
        """

        async def judged(backend: Backend) -> Sequence[ModerationResult]:
            if not isinstance(backend, ModeratingBackend):
                raise InvalidRequest(f"the model {self.name!r} judges no texts", param="model")
            return await backend.moderate(given)

        # Scores of different models cannot be compared: always the same one, and no fall-back.
        return await Ask([self.first], Demand(streamed=False, regions=self.regions)).result(judged)

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of the rendered prompt, as the model will see it.

        Raises:
            ModelUnavailable: down for longer than a request waits.
        """
        # Past the balancer: counting takes nobody's room, and who can count need not be able to
        # answer, so that it must not pass for healthy.
        places = list(self._permitted())
        for each in places:
            if each.backend.is_ready():
                with suppress(ModelUnavailable):
                    return await _counted(each, messages)
        for each in places:
            if await each.backend.wait_ready(self.first.balancer.settings.queue.wait_s):
                return await _counted(each, messages)
        raise ModelUnavailable(f"nobody is there to count the tokens of a prompt for {self.name!r}")

    def _permitted(self) -> Iterator[Deployment]:
        """Every deployment that a prompt may go to, those that are preferred first."""
        first = self.first
        for model in (first, *(each for each in self.order() if each is not first)):
            for each in model.deployments:
                region = each.place.region
                if all(some is None or region in some for some in (self.regions, model.regions)):
                    yield each

    def token_upper_bound(self, messages: Sequence[Message]) -> int | None:
        """At most this many tokens, known at once; None where that cannot be promised."""
        most = 0
        for model in self.order():
            for each in model.deployments:
                bound = each.backend.token_upper_bound(messages)
                if bound is None:
                    return None
                most = max(most, bound)
        return most

    @abstractmethod
    def describe(self) -> object:
        """What decides this target's answers, for the release digest."""


class Model(Target):
    """A logical model: deployments that can answer for each other."""

    def __init__(
        self,
        name: str,
        deployments: Sequence[Deployment],
        params: Params,
        *,
        balance: BalanceSettings | None = None,
        here: str | None = None,
        regions: frozenset[str] | None = None,
    ) -> None:
        """
        Args:
            here: the region that this service runs in.
        """
        self.name = name
        self.deployments = tuple(deployments)
        self.params = params
        self.regions = regions
        self.here = here
        self.balancer = Balancer(
            [each.member() for each in deployments], balance or BalanceSettings(), here=here
        )
        self._rtt_s: dict[str, float] = {}
        self.known = {each.key: each for each in deployments}
        """Deployments by their key, those of the configurations before and after included."""

    def order(self) -> Sequence["Model"]:
        return (self,)

    @property
    def first(self) -> "Model":
        return self

    def deployment(self, key: str) -> Deployment:
        return self.known[key]

    def succeed(self, old: "Model") -> None:
        """Take over what `old`, of an earlier configuration, has learned of the deployments.

        Turns that still run on `old` go on with the same balancer, so that each counts once.
        """
        if old.balancer.settings != self.balancer.settings or old.here != self.here:
            return
        old.balancer.update_members([each.member() for each in self.deployments])
        self.balancer = old.balancer
        # One mapping for all that share a balancer: whatever it picks, each of them knows, a turn
        # that has waited through several configurations too.
        old.known.update(self.known)
        self.known = old.known

    def saw_rtt(self, key: str, rtt_s: float | None) -> None:
        """How long a round trip to a deployment took, if anybody knows."""
        if rtt_s is not None and self._rtt_s.get(key) != rtt_s:
            self._rtt_s[key] = rtt_s
            self.balancer.saw_rtt(key, rtt_s)

    def describe(self) -> object:
        adapters = [getattr(each.backend, "adapter", None) for each in self.deployments]
        return {
            "deployments": [each.backend.digest for each in self.deployments],
            **({"adapters": adapters} if any(adapters) else {}),
            # Decides which turns still fit, and which prompts are refused.
            "context_tokens": self.context_tokens,
            "params": self.params,
        }


class Route(Target):
    """A name that stands for whichever of some models fits best."""

    def __init__(
        self,
        name: str,
        models: Sequence[Model],
        *,
        regions: frozenset[str] | None = None,
        weights: Mapping[str, float] | None = None,
        by_latency: bool = False,
        random: Random | None = None,
    ) -> None:
        """
        Args:
            models: in order of preference.
            weights: each model's share of the turns; None: the first takes all it can.
            by_latency: the quickest goes first, as it is at the moment.
        """
        self.name = name
        self.params = models[0].params
        self.regions = regions
        self._models = tuple(models)
        self._weights = weights
        self._by_latency = by_latency
        self._random = random or Random()  # noqa: S311 - spreads load, keeps no secret

    def order(self) -> Sequence[Model]:
        if self._weights is not None:
            return self._drawn(self._weights)
        if self._by_latency:
            return sorted(self._models, key=_expected_s)
        return self._models

    @property
    def first(self) -> Model:
        return self._models[0]

    @property
    def data_regions(self) -> frozenset[str] | None:
        return self.regions

    @property
    def context_tokens(self) -> int:
        return min(model.context_tokens for model in self._models)

    def among(self, names: Collection[str] | None) -> "Target":
        if names is None or all(model.name in names for model in self._models):
            return self
        return Route(
            self.name,
            [model for model in self._models if model.name in names],
            regions=self.regions,
            weights=self._weights,
            by_latency=self._by_latency,
            random=self._random,
        )

    def _drawn(self, weights: Mapping[str, float]) -> Sequence[Model]:
        """A random order in which each model comes first as often as its weight says."""
        # Exponential variates with the weights as rates: Efraimidis and Spirakis (2006).
        draw = self._random.expovariate
        return sorted(self._models, key=lambda model: draw(weights.get(model.name, 1.0)))

    def describe(self) -> object:
        return {
            "models": [model.name for model in self._models],
            "regions": None if self.regions is None else sorted(self.regions),
            "weights": self._weights,
            "by_latency": self._by_latency,
        }


def _both(one: frozenset[str] | None, other: frozenset[str] | None) -> frozenset[str] | None:
    """The regions that both allow; None allows any."""
    if one is None or other is None:
        return other if one is None else one
    return one & other


async def _counted(deployment: Deployment, messages: Sequence[Message]) -> int:
    with deployment.runner.leases.hold():
        return await deployment.backend.count_tokens(messages)


def _expected_s(model: Model) -> float:
    """Time to a first token at the model's quickest deployment that is in order."""
    known = [
        each.ttft_s * (1 + each.outstanding / (each.capacity or 8))
        for each in model.balancer.snapshot()
        if each.ttft_s is not None and not each.ejected_for_s and not each.paused_for_s
    ]
    # One that nothing is known of is worth a try.
    return min(known, default=0.0)


def _demand(models: Sequence[Model], call: Call, regions: frozenset[str] | None) -> Demand:
    if len(models) == 1 and len(models[0].deployments) == 1:
        return Demand(streamed=call.stream, regions=regions, priority=call.priority)
    size = estimate_tokens(call.messages) + (call.params.max_tokens or _ANSWER_TOKENS)
    return Demand(
        size=float(size),
        prefix=prefix_of(call.messages),
        regions=regions,
        priority=call.priority,
        streamed=call.stream,
    )


def prefix_of(messages: Sequence[Message]) -> int:
    """Equal for prompts that begin alike, and most of all for the turns of one conversation."""
    beginning: list[str] = []
    taken = 0
    for message in messages:
        text = message.text()[:PREFIX_CHARS]
        beginning.append(text)
        taken += len(text)
        if message.role == "user" or taken >= PREFIX_CHARS:
            break
    # Not hash(): several gateways have to agree.
    return zlib.crc32("\0".join(beginning).encode("utf-8", "surrogatepass"))
