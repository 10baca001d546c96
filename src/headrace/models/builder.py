"""From a configuration to models: which deployments share a backend, and what each is told."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

import msgspec

from headrace.config.model import (
    DeploymentConfig,
    ModelConfig,
    ParamsConfig,
    RequireConfig,
    RouteConfig,
    ServiceConfig,
)
from headrace.config.node import parse_yaml
from headrace.errors import ConfigError
from headrace.models.adapted import AdapterSource, resolve_adapter
from headrace.models.backend_type import BackendType, backend_type
from headrace.models.balance.settings import BalanceSettings
from headrace.models.deployment import Deployment, Runner
from headrace.models.facts import Facts
from headrace.models.http.tls import TlsSettings
from headrace.models.model import Model
from headrace.models.residency import permitted_regions
from headrace.models.route import judge_models
from headrace.models.tuned import TunedModel
from headrace.types import Params

__all__ = ["BUILTIN", "EMBEDDING", "Builder", "builtin_models"]

EMBEDDING = "embedding"
"""The name of the model that makes embeddings where nobody declares another."""
BUILTIN: Mapping[str, str] = {
    EMBEDDING: "onnx",
    "embedding-multilingual": "universal_sentence_encoder",
}
"""Models that every service has without declaring them, and their backends."""

Adapted: TypeAlias = Callable[
    [msgspec.Struct, AdapterSource, Sequence[AdapterSource]],
    tuple[BackendType, msgspec.Struct] | None,
]
"""What serves a deployment's model with an adapter on it: `BackendType.adapted`, where there is one."""


def builtin_models(config: ServiceConfig) -> Mapping[str, ModelConfig]:
    """The built-in models that the service does not declare itself, by name."""
    return {
        name: ModelConfig(
            name=name,
            deployments=[
                DeploymentConfig(
                    backend=backend,
                    settings=parse_yaml("{}", f"built-in model {name}", {}, root=config.root),
                )
            ],
            params=ParamsConfig(),
            price=None,
            node=config.node,
        )
        for name, backend in BUILTIN.items()
        if name not in config.models and name not in config.routes
    }


class Builder:
    """Builds the models of one configuration."""

    def __init__(
        self,
        config: ServiceConfig,
        home: Path,
        environ: Mapping[str, str],
        running: Mapping[bytes, Runner],
    ) -> None:
        self._config = config
        self._home = home
        self._environ = environ
        self._running = running
        self.runners: dict[bytes, Runner] = {}
        self.facts = Facts(config, environ)
        self._sources: dict[str, AdapterSource] = {}
        """Of each model with an adapter, where that lies."""
        self._beside: dict[str, list[AdapterSource]] = {}
        """All adapters of a base, in an order that only they decide."""

    def gather(self, models: Sequence[ModelConfig]) -> None:
        """Look where the adapters of these models lie: those of one base share a process.

        Raises:
            ConfigError: one is not there, or its base takes none.
        """
        for each in models:
            if each.adapter is None:
                continue
            as_folder = bool(getattr(backend_type(each.deployments[0]), "reads_folder", False))
            found = resolve_adapter(each, self._home, as_folder=as_folder)
            self._sources[each.name] = found
            beside = self._beside.setdefault(each.adapter.base, [])
            if found not in beside:
                beside.append(found)
        for several in self._beside.values():
            several.sort(key=lambda source: (source.digest, source.reference))

    def judge(self, require: RequireConfig) -> Mapping[str, Sequence[str]]:
        """What each declared model does not meet, as a route would see it."""
        route = RouteConfig(require=require)
        judged = judge_models(route, self._config, self.facts, datetime.now(UTC).date())
        return {each.name: each.missed for each in judged}

    def model(self, config: ModelConfig, *, is_here: bool = False) -> Model:
        """
        Args:
            is_here: it runs in this process, so that no rule on where data may go concerns it.
        """
        deployments = [
            Deployment(
                key=f"{config.name}-{position}",
                runner=self._runner(config, declared, position),
                place=declared.place,
                price=self.facts.price(config, position),
            )
            for position, declared in enumerate(config.deployments)
        ]
        balance = config.balance.convert(BalanceSettings) if config.balance is not None else None
        regions = [each.place.region for each in deployments]
        return Model(
            config.name,
            deployments,
            Params(**msgspec.structs.asdict(config.params)),
            balance=balance,
            here=self._config.region,
            regions=None
            if is_here
            else permitted_regions(self._config.residency, regions, config.node),
        )

    def tuned(self, tuned: TunedModel) -> Model:
        """A fine-tune, which only some keys may ask."""
        model = self.model(tuned.config)
        model.owner = tuned.served
        return model

    def _runner(self, config: ModelConfig, declared: DeploymentConfig, position: int) -> Runner:
        kind = backend_type(declared)
        settings = self._completed(kind, declared.settings.convert(kind.Settings), config, position)
        if config.adapter is not None:
            adapted: Adapted | None = getattr(kind, "adapted", None)
            source, beside = self._sources[config.name], self._beside[config.adapter.base]
            made_of = None if adapted is None else adapted(settings, source, beside)
            if made_of is None:
                raise config.node.error(
                    f"the backend {declared.backend!r} of {config.adapter.base!r} takes no adapters",
                    "base",
                    hint="`embedded` and `vllm` do",
                )
            kind, settings = made_of
        key = msgspec.json.encode([declared.backend, settings])
        runner = self.runners.get(key) or self._running.get(key)
        if runner is None:
            try:
                made = kind(settings, name=config.name, root=self._config.root, home=self._home)
            except ConfigError as error:
                raise declared.settings.error(error.message, hint=error.hint) from error
            runner = Runner(made)
        self.runners[key] = runner
        return runner

    def _completed(
        self, kind: BackendType, settings: msgspec.Struct, config: ModelConfig, position: int
    ) -> msgspec.Struct:
        """The settings with the key from the environment and the context from the catalogue."""
        more: dict[str, object] = {}
        variable = getattr(kind, "key_variable", "")
        if variable and getattr(settings, "api_key", "") is None and self._environ.get(variable):
            more["api_key"] = self._environ[variable]
        if getattr(settings, "context_tokens", 0) is None:
            context_tokens = self.facts.context_tokens(config, position)
            if context_tokens is not None:
                more["context_tokens"] = context_tokens
        tls = getattr(settings, "tls", None)
        if isinstance(tls, TlsSettings) and tls != TlsSettings():
            more["tls"] = tls.below(self._config.root)
        return msgspec.structs.replace(settings, **more) if more else settings
