"""One place that serves a model: a running backend, where it is and what it costs."""

from dataclasses import dataclass, field

from headrace.config.model import PlaceConfig, PriceConfig
from headrace.models.backend import Backend
from headrace.models.balance.member import Member
from headrace.models.lease import Leases
from headrace.types import Usage

__all__ = ["Deployment", "Runner"]

_INPUT_SHARE = 0.75
"""Prompt tokens among all tokens, to compare prices by one figure."""


@dataclass(frozen=True, slots=True)
class Runner:
    """A running backend, and who uses it. Shared by all deployments of the same settings."""

    backend: Backend
    leases: Leases = field(default_factory=Leases)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One of a model's deployments."""

    key: str
    """Names it in traces, metrics and errors: the model's name and its place in the list."""
    runner: Runner
    place: PlaceConfig = field(default_factory=PlaceConfig)
    price: PriceConfig = field(default_factory=PriceConfig)

    @property
    def backend(self) -> Backend:
        return self.runner.backend

    def cost_usd(self, usage: Usage) -> float:
        """What that many tokens cost; cached ones at their own price."""
        price = self.price
        cached = price.input if price.cached_input is None else price.cached_input
        fresh = usage.prompt_tokens - usage.cached_tokens
        total = fresh * price.input + usage.cached_tokens * cached
        return (total + usage.completion_tokens * price.output) / 1_000_000

    def member(self) -> Member:
        """What the balancer has to know of it."""
        price = self.price
        return Member(
            key=self.key,
            capacity=self.place.capacity or self.backend.capacity,
            weight=self.place.weight,
            region=self.place.region,
            usd_per_million=price.input * _INPUT_SHARE + price.output * (1 - _INPUT_SHARE),
            identity=id(self.runner),
        )
