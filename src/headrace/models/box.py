"""The model box: any model behind one name."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import ClassVar, Protocol, TypeAlias

import msgspec

from headrace.access.principal import Principal
from headrace.config.model import (
    DeploymentConfig,
    ModelConfig,
    ParamsConfig,
    RequireConfig,
    RouteConfig,
    ServiceConfig,
)
from headrace.config.node import parse_yaml
from headrace.errors import ConfigError, HeadraceError, UnknownModel, did_you_mean
from headrace.models.adapted import AdapterSource, resolve_adapter
from headrace.models.backend import Backend
from headrace.models.balance.settings import BalanceSettings
from headrace.models.deployment import Deployment, Runner
from headrace.models.facts import Facts
from headrace.models.http.tls import TlsSettings
from headrace.models.model import Model, Route, Target
from headrace.models.progress import Progress
from headrace.models.residency import permitted_regions
from headrace.models.route import judge_models, route_of
from headrace.models.tuned import TunedModel
from headrace.types import Params

__all__ = [
    "BUILTIN",
    "EMBEDDING",
    "ModelBox",
    "backend_names",
    "backend_type",
    "backend_types",
    "builtin_models",
]

EMBEDDING = "embedding"
"""The name of the model that makes embeddings where nobody declares another."""
BUILTIN: Mapping[str, str] = {
    EMBEDDING: "onnx",
    "embedding-multilingual": "universal_sentence_encoder",
}
"""Models that every service has without declaring them, and their backends."""
RETIRE_QUIET_S = 2.0
"""A turn may still be on its way to a model that is no longer declared."""
RETIRE_WITHIN_S = 600.0
"""Answers that run longer on such a model break off."""
_log = logging.getLogger(__name__)

Judge: TypeAlias = Callable[[RequireConfig], Mapping[str, Sequence[str]]]


class BackendType(Protocol):
    """A backend's class, as its entry point gives it.

    One that takes a key may name an environment variable for it as `key_variable`.
    """

    Settings: ClassVar[type[msgspec.Struct]]

    def __call__(self, settings: object, *, name: str, root: Path, home: Path) -> Backend: ...


@cache
def _entries() -> Mapping[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group="headrace.backends")}


def backend_names() -> Collection[str]:
    """The names of all installed backends (entry points `headrace.backends`)."""
    return _entries().keys()


@cache
def _loaded(name: str) -> BackendType:
    kind: BackendType = _entries()[name].load()
    return kind


def backend_types() -> Mapping[str, BackendType]:
    """Every installed backend by name."""
    return {name: _loaded(name) for name in backend_names()}


Adapted: TypeAlias = Callable[
    [msgspec.Struct, AdapterSource, Sequence[AdapterSource]],
    tuple[BackendType, msgspec.Struct] | None,
]
"""What serves a deployment's model with an adapter on it: `BackendType.adapted`, where there is one."""


class ModelBox:
    """All models of a service, by name. The first one declared is the default."""

    def __init__(
        self,
        models: Mapping[str, Model],
        routes: Mapping[str, Route],
        runners: Mapping[bytes, Runner],
        *,
        judge: Judge | None = None,
        builtin: Mapping[str, Model] | None = None,
        tuned: Mapping[str, Model] | None = None,
    ) -> None:
        """
        Args:
            judge: what each model misses of some requirements; None: nobody can tell.
            builtin: models that are there without being declared, for who asks for them by name.
            tuned: fine-tunes that are served without being declared.
        """
        self._declared = models
        self._models = {**models, **(tuned or {})}
        self._builtin = builtin or {}
        self._judge = judge
        self._missed: dict[bytes, Mapping[str, Sequence[str]]] = {}
        self._routes = routes
        self._runners = runners
        """By what each was built from: equal keys share a backend."""
        spared = {id(each) for model in (tuned or {}).values() for each in _runners_of(model)}
        needed = {id(each) for model in models.values() for each in _runners_of(model)}
        self._spared = spared - needed
        """Runners that only undeclared fine-tunes have: without them all else goes on."""

    @classmethod
    def build(
        cls,
        config: ServiceConfig,
        home: Path,
        environ: Mapping[str, str],
        *,
        reuse: "ModelBox | None" = None,
        only: Collection[str] | None = None,
        tuned: Collection[TunedModel] = (),
    ) -> "ModelBox":
        """The models that the configuration declares; nothing runs yet.

        Models of equal settings share a backend, here and with `reuse`: what runs there and has
        not changed goes on running. (Settings, not files: a `file:` replaced in place is noticed
        at the next start, or at once when its `sha256` is declared.)

        Args:
            only: just these models, and no routes.
            tuned: fine-tunes that are served without being declared.

        Raises:
            ConfigError: an unknown backend, settings that it does not take, or a rule that leaves
                nothing to ask.
        """
        names = config.models if only is None else [n for n in config.models if n in only]
        builder = _Builder(config, home, environ, reuse.runners if reuse is not None else {})
        builder.gather([*(config.models[n] for n in names), *(each.config for each in tuned)])
        models = {name: builder.model(config.models[name]) for name in names}
        builtin = {
            name: builder.model(each, is_here=True)
            for name, each in builtin_models(config).items()
            if only is None or name in only or name == EMBEDDING
        }
        routes = {
            name: route_of(name, route, config, models, builder.facts)
            for name, route in (config.routes if only is None else {}).items()
        }
        return cls(
            models,
            routes,
            builder.runners,
            judge=builder.judge,
            builtin=builtin,
            tuned={each.config.name: builder.tuned(each) for each in tuned},
        )

    @property
    def runners(self) -> Mapping[bytes, Runner]:
        """What serves the models, by what each was built from."""
        return self._runners

    def succeed(self, old: "ModelBox") -> None:
        """Take over what an earlier configuration's models have learned of their deployments."""
        known = {model.name: model for model in old.models()}
        for name, model in self._models.items():
            if name in known:
                model.succeed(known[name])

    async def start(self, progress: Progress | None = None) -> None:
        """Start every backend that does not run yet.

        Raises:
            HeadraceError: one cannot be fetched or started; `stop` or `retire` ends the others.
        """
        starts = [
            asyncio.ensure_future(self._start(each, progress)) for each in self._runners.values()
        ]
        try:
            await asyncio.gather(*starts)
        finally:
            for start in starts:
                start.cancel()
            await asyncio.gather(*starts, return_exceptions=True)

    async def _start(self, runner: Runner, progress: Progress | None) -> None:
        try:
            await runner.backend.start(progress)
        except HeadraceError as error:
            if id(runner) not in self._spared:
                raise
            _log.error("a fine-tune does not answer: %s", error.message)

    async def stop(self) -> None:
        """Stop every backend; running answers break off."""
        await asyncio.gather(*(each.backend.stop() for each in self._runners.values()))

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

        kept = set(self._runners)
        dropped = [each for key, each in old.runners.items() if key not in kept]
        try:
            await asyncio.gather(*(each.leases.quiet(quiet_s, within_s) for each in dropped))
        finally:
            await asyncio.gather(*(each.backend.stop() for each in dropped))

    def is_ready(self) -> bool:
        """Whether every model can answer now, but for fine-tunes that nobody has declared."""
        runners = self._runners.values()
        return all(each.backend.is_ready() for each in runners if id(each) not in self._spared)

    def names(self) -> Collection[str]:
        """What a chat may ask for: models, then routes."""
        return [*self._models, *self._routes]

    def names_for(self, principal: Principal) -> Collection[str]:
        """What somebody's chat may ask for: all but other keys' fine-tunes."""
        return [name for name in self.names() if self.get(name).is_open_to(principal)]

    def get_for(self, name: str | None, principal: Principal) -> Target:
        """`get`; what is not open to somebody is not there."""
        found = self.get(name)
        if not found.is_open_to(principal):
            raise UnknownModel.named(found.name, ())
        return found

    def embedding_names(self) -> Collection[str]:
        """The built-in models, which make embeddings and answer no chat."""
        return self._builtin.keys()

    def models(self) -> Collection[Model]:
        """The models, in the order of the configuration."""
        return self._models.values()

    def get(self, name: str | None) -> Target:
        """The model or route of that name, or the first model for None.

        Raises:
            UnknownModel: with the nearest name there is.
        """
        if name is None:
            return next(iter(self._models.values()))
        found = self._models.get(name) or self._routes.get(name) or self._builtin.get(name)
        if found is None:
            raise UnknownModel.named(name, [*self.names(), *self._builtin])
        return found

    def missed(self, require: RequireConfig) -> Mapping[str, Sequence[str]]:
        """What each model does not meet, by its name; a model that meets all has nothing there.

        Raises:
            ValidationError: a task that does not exist.
        """
        if require == RequireConfig() or self._judge is None:
            return dict.fromkeys(self._models, ())
        key = msgspec.json.encode(require)
        if key not in self._missed:
            self._missed[key] = self._judge(require)
        return self._missed[key]

    def digests(self) -> dict[str, object]:
        """What each declared model serves, for the release digest."""
        targets: list[Target] = [*self._declared.values(), *self._routes.values()]
        return {target.name: target.describe() for target in targets}


def _runners_of(model: Model) -> list[Runner]:
    return [each.runner for each in model.deployments]


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


class _Builder:
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


def backend_type(deployment: DeploymentConfig) -> BackendType:
    """The class of the backend that a deployment names.

    Raises:
        ConfigError: there is none of that name, or its package cannot be imported.
    """
    name = deployment.backend
    if name not in backend_names():
        raise deployment.settings.error(
            f"no backend is called {name!r}",
            "backend",
            hint=did_you_mean(name, backend_names(), kind="backends"),
        )
    try:
        return _loaded(name)
    except Exception as error:
        raise deployment.settings.error(
            f"the backend {name!r} cannot be loaded: {error}",
            "backend",
            hint="mend or remove the package that brings it",
        ) from error
