"""The model box: any model behind one name."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import ClassVar, Protocol, TypeVar

import msgspec

from headrace.config.model import DeploymentConfig, ModelConfig, PriceConfig
from headrace.errors import ModelUnavailable, UnknownModel, did_you_mean
from headrace.models.backend import Backend, Call, Embeddings
from headrace.models.lease import Leases
from headrace.models.progress import Progress
from headrace.types import Deltas, Message, Params, Usage

__all__ = ["Deployment", "Model", "ModelBox", "backend_type", "backend_types"]

ATTEMPTS = 2
"""How often a call may reach its model. A request that kills the model must not do so for ever."""
RETRY_WITHIN_S = 30.0
"""A request that found its model down waits this long for it to come back."""
RETIRE_QUIET_S = 2.0
"""A turn may still be on its way to a model that is no longer declared."""
RETIRE_WITHIN_S = 60.0
"""Answers that run longer on such a model break off."""

T = TypeVar("T")


class BackendType(Protocol):
    """A backend's class, as its entry point gives it."""

    Settings: ClassVar[type[msgspec.Struct]]

    def __call__(self, settings: object, *, name: str, root: Path, home: Path) -> Backend: ...


@cache
def backend_types() -> Mapping[str, BackendType]:
    """Every installed backend by name (entry points `headrace.backends`)."""
    return {entry.name: entry.load() for entry in entry_points(group="headrace.backends")}


class Model:
    """A logical name with the deployment that serves it."""

    def __init__(
        self,
        name: str,
        backend: Backend,
        params: Params,
        price: PriceConfig,
        leases: Leases | None = None,
    ) -> None:
        self.name = name
        self.backend = backend
        self.params = params
        """The model's own defaults of inference parameters."""
        self.deployment = f"{name}-0"
        self._price = price
        self._leases = leases or Leases()

    @property
    def context_tokens(self) -> int:
        """Longest prompt plus answer, in tokens."""
        return self.backend.context_tokens

    def cost_usd(self, usage: Usage) -> float:
        """What that many tokens cost; cached ones at their own price."""
        price = self._price
        cached = price.input if price.cached_input is None else price.cached_input
        fresh = usage.prompt_tokens - usage.cached_tokens
        total = fresh * price.input + usage.cached_tokens * cached
        return (total + usage.completion_tokens * price.output) / 1_000_000

    async def generate(self, call: Call) -> Deltas:
        """The answer, piece by piece. Tried again only while nothing has been given yet.

        Raises:
            ModelUnavailable: down for longer than a request waits, or broke off in mid-answer.
        """
        retry = _Retry(self.backend)
        with self._leases.hold():
            while True:
                given = False
                try:
                    async with aclosing(self.backend.generate(call)) as deltas:
                        async for delta in deltas:
                            given = True
                            yield delta
                except ModelUnavailable:
                    if given or not await retry.is_worthwhile():
                        raise
                else:
                    return

    async def embed(self, inputs: Sequence[str]) -> Embeddings:
        """One vector per input.

        Raises:
            ModelUnavailable: down for longer than a request waits.
        """
        return await self._retried(lambda: self.backend.embed(inputs))

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of the rendered prompt, exactly as the model will see it.

        Raises:
            ModelUnavailable: down for longer than a request waits.
        """
        return await self._retried(lambda: self.backend.count_tokens(messages))

    async def _retried(self, ask: Callable[[], Awaitable[T]]) -> T:
        retry = _Retry(self.backend)
        with self._leases.hold():
            while True:
                try:
                    return await ask()
                except ModelUnavailable:
                    if not await retry.is_worthwhile():
                        raise

    def token_upper_bound(self, messages: Sequence[Message]) -> int | None:
        """At most this many tokens, known at once; None where that cannot be promised."""
        return self.backend.token_upper_bound(messages)

    def describe(self) -> object:
        """What decides this model's answers, for the release digest."""
        return {
            "weights": self.backend.digest,
            # Decides which turns still fit, and which prompts are refused.
            "context_tokens": self.context_tokens,
            "params": self.params,
        }


class _Retry:
    """Whether a call that failed with nothing given is made again."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._deadline = time.monotonic() + RETRY_WITHIN_S
        self._attempts = 0
        self._reached = backend.is_ready()

    async def is_worthwhile(self) -> bool:
        # A model that was down from the start has not been tried: waiting for it is free.
        self._attempts += self._reached
        left_s = self._deadline - time.monotonic()
        self._reached = (
            self._attempts < ATTEMPTS and left_s > 0 and await self._backend.wait_ready(left_s)
        )
        return self._reached


@dataclass(frozen=True, slots=True)
class Deployment:
    """A running backend, and who uses it. Shared by all models of the same settings."""

    backend: Backend
    leases: Leases = field(default_factory=Leases)


class ModelBox:
    """All models of a service, by name. The first one declared is the default."""

    def __init__(
        self, models: Mapping[str, Model], deployments: Mapping[bytes, Deployment]
    ) -> None:
        self._models = models
        self._deployments = deployments
        """By what each was built from: equal keys share a backend."""

    @classmethod
    def build(
        cls,
        configs: Mapping[str, ModelConfig],
        root: Path,
        home: Path,
        *,
        reuse: "ModelBox | None" = None,
    ) -> "ModelBox":
        """The models that the configuration declares; nothing runs yet.

        Models of equal settings share a backend, here and with `reuse`: what runs there and has
        not changed goes on running. (Settings, not files: a `file:` replaced in place is noticed
        at the next start, or at once when its `sha256` is declared.)

        Raises:
            ConfigError: an unknown backend, or settings that it does not take.
        """
        models: dict[str, Model] = {}
        deployments: dict[bytes, Deployment] = {}
        running = reuse.deployments if reuse is not None else {}
        for name, config in configs.items():
            declared = config.deployments[0]
            kind = backend_type(declared)
            settings = declared.settings.convert(kind.Settings)
            key = msgspec.json.encode([declared.backend, settings])
            deployment = deployments.get(key) or running.get(key)
            if deployment is None:
                deployment = Deployment(kind(settings, name=name, root=root, home=home))
            deployments[key] = deployment
            params = Params(**msgspec.structs.asdict(config.params))
            models[name] = Model(name, deployment.backend, params, config.price, deployment.leases)
        return cls(models, deployments)

    @property
    def deployments(self) -> Mapping[bytes, Deployment]:
        """What serves the models, by what each was built from."""
        return self._deployments

    async def start(self, progress: Progress | None = None) -> None:
        """Start every backend that does not run yet.

        Raises:
            HeadraceError: one cannot be fetched or started; `stop` or `retire` ends the others.
        """
        starts = [
            asyncio.ensure_future(each.backend.start(progress))
            for each in self._deployments.values()
        ]
        try:
            await asyncio.gather(*starts)
        finally:
            for start in starts:
                start.cancel()
            await asyncio.gather(*starts, return_exceptions=True)

    async def stop(self) -> None:
        """Stop every backend; running answers break off."""
        await asyncio.gather(*(each.backend.stop() for each in self._deployments.values()))

    async def retire(
        self,
        old: "ModelBox",
        *,
        quiet_s: float = RETIRE_QUIET_S,
        within_s: float = RETIRE_WITHIN_S,
    ) -> None:
        """Stop what `old` runs and this box has not taken over, once nobody uses it any more.

        Args:
            quiet_s: time without a call after which a backend counts as unused.
            within_s: time after which it is stopped all the same.
        """

        kept = set(self._deployments)
        dropped = [each for key, each in old.deployments.items() if key not in kept]
        try:
            await asyncio.gather(*(each.leases.quiet(quiet_s, within_s) for each in dropped))
        finally:
            await asyncio.gather(*(each.backend.stop() for each in dropped))

    def is_ready(self) -> bool:
        """Whether every model can answer now."""
        return all(each.backend.is_ready() for each in self._deployments.values())

    def names(self) -> Collection[str]:
        return self._models.keys()

    def get(self, name: str | None) -> Model:
        """The model of that name, or the default for None.

        Raises:
            UnknownModel: with the nearest name there is.
        """
        if name is None:
            return next(iter(self._models.values()))
        model = self._models.get(name)
        if model is None:
            raise UnknownModel.named(name, self._models.keys())
        return model

    def digests(self) -> dict[str, object]:
        """What each model serves, for the release digest."""
        return {name: model.describe() for name, model in self._models.items()}


def backend_type(deployment: DeploymentConfig) -> BackendType:
    """The class of the backend that a deployment names.

    Raises:
        ConfigError: there is none of that name.
    """
    types = backend_types()
    if deployment.backend not in types:
        raise deployment.settings.error(
            f"no backend is called {deployment.backend!r}",
            "backend",
            hint=did_you_mean(deployment.backend, types.keys(), kind="backends"),
        )
    return types[deployment.backend]
