"""One place that serves a model: a running backend, where it is and what it costs."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from headrace.config.model import PlaceConfig
from headrace.models.backend import Backend
from headrace.models.balance.member import Member
from headrace.models.catalogue.cost import MIXES, blended_usd, cost_usd
from headrace.models.catalogue.entry import Price
from headrace.models.lease import Leases
from headrace.types import Usage

__all__ = ["Deployment", "Runner"]

_MIX = MIXES[None]
"""To compare prices by one figure."""


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
    price: Price | None = None
    """What it costs; None: nobody has said."""
    today: Callable[[], date] = lambda: datetime.now(UTC).date()
    """Prices change on a day."""

    @property
    def backend(self) -> Backend:
        return self.runner.backend

    def cost_usd(self, usage: Usage) -> float:
        """What that many tokens cost; those of the provider's cache at their own price."""
        return 0.0 if self.price is None else cost_usd(self.price, usage, self.today())

    def member(self) -> Member:
        """What the balancer has to know of it."""
        usd = math.inf if self.price is None else blended_usd(self.price, _MIX, self.today())
        return Member(
            key=self.key,
            capacity=self.place.capacity or self.backend.capacity,
            weight=self.place.weight,
            region=self.place.region,
            usd_per_million=usd,
            identity=id(self.runner),
        )
