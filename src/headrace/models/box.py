"""The model box: any model behind one name."""

import asyncio
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from typing import ClassVar, Protocol, TypeAlias

import msgspec

from headrace.config.model import DeploymentConfig, ModelConfig, PriceConfig
from headrace.errors import ModelUnavailable, UnknownModel, did_you_mean
from headrace.models.backend import Backend, Call, Embeddings
from headrace.types import Deltas, Message, Params, Usage

__all__ = ["Model", "ModelBox", "backend_type", "backend_types"]

RETRIES = 2
RETRY_WITHIN_S = 30.0
"""A request that found its model down waits this long for it to come back."""

Progress: TypeAlias = Callable[[str, int, int | None], None]


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

    def __init__(self, name: str, backend: Backend, params: Params, price: PriceConfig) -> None:
        self.name = name
        self.backend = backend
        self.params = params
        """The model's own defaults of inference parameters."""
        self.deployment = f"{name}-0"
        self._price = price

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
        deadline = time.monotonic() + RETRY_WITHIN_S
        for attempt in range(RETRIES + 1):
            given = False
            try:
                async with aclosing(self.backend.generate(call)) as deltas:
                    async for delta in deltas:
                        given = True
                        yield delta
                return
            except ModelUnavailable:
                left_s = deadline - time.monotonic()
                if given or attempt == RETRIES or not await self.backend.wait_ready(left_s):
                    raise

    async def embed(self, inputs: Sequence[str]) -> Embeddings:
        """One vector per input."""
        return await self.backend.embed(inputs)

    async def count_tokens(self, messages: Sequence[Message]) -> int:
        """Tokens of the rendered prompt, exactly as the model will see it."""
        return await self.backend.count_tokens(messages)

    def token_upper_bound(self, messages: Sequence[Message]) -> int | None:
        """At most this many tokens, known at once; None where that cannot be promised."""
        return self.backend.token_upper_bound(messages)

    def describe(self) -> object:
        """What decides this model's answers, for the release digest."""
        return {"weights": self.backend.digest, "params": self.params}


class ModelBox:
    """All models of a service, by name. The first one declared is the default."""

    def __init__(self, models: Mapping[str, Model], keys: Mapping[str, bytes]) -> None:
        self._models = models
        self._keys = keys
        """What each backend was built from: equal keys may share a running backend."""

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

        Deployments whose settings have not changed since `reuse` keep their running backend.

        Raises:
            ConfigError: an unknown backend, or settings that it does not take.
        """
        models: dict[str, Model] = {}
        keys: dict[str, bytes] = {}
        for name, config in configs.items():
            deployment = config.deployments[0]
            kind = backend_type(deployment)
            settings = deployment.settings.convert(kind.Settings)
            keys[name] = msgspec.json.encode([deployment.backend, settings])
            running = reuse._running(keys[name]) if reuse is not None else None
            backend = running or kind(settings, name=name, root=root, home=home)
            params = Params(**msgspec.structs.asdict(config.params))
            models[name] = Model(name, backend, params, config.price)
        return cls(models, keys)

    def _running(self, key: bytes) -> Backend | None:
        return next(
            (self._models[name].backend for name, known in self._keys.items() if known == key), None
        )

    async def start(self, progress: Progress | None = None) -> None:
        """Start every backend that does not run yet."""
        await asyncio.gather(
            *(each.start(progress) for each in self._backends() if not each.is_ready())
        )

    async def stop(self) -> None:
        """Stop every backend."""
        await asyncio.gather(*(each.stop() for each in self._backends()))

    async def retire(self, old: "ModelBox") -> None:
        """Stop what `old` ran and this box has not taken over."""
        kept = {id(each) for each in self._backends()}
        await asyncio.gather(*(each.stop() for each in old._backends() if id(each) not in kept))

    def _backends(self) -> list[Backend]:
        return list({id(model.backend): model.backend for model in self._models.values()}.values())

    def is_ready(self) -> bool:
        """Whether every model can answer now."""
        return all(each.is_ready() for each in self._backends())

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
