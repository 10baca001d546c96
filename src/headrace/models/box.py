"""The model box: any model behind one name."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import msgspec

from headrace.access.principal import Principal
from headrace.config.model import RequireConfig, ServiceConfig
from headrace.errors import HeadraceError, UnknownModel
from headrace.models.builder import EMBEDDING, Builder, builtin_models
from headrace.models.deployment import Runner
from headrace.models.model import Model, Route, Target
from headrace.models.progress import Progress
from headrace.models.route import route_of
from headrace.models.tuned import TunedModel

__all__ = ["ModelBox"]

RETIRE_QUIET_S = 2.0
"""A turn may still be on its way to a model that is no longer declared."""
RETIRE_WITHIN_S = 600.0
"""Answers that run longer on such a model break off."""
_log = logging.getLogger(__name__)

Judge: TypeAlias = Callable[[RequireConfig], Mapping[str, Sequence[str]]]


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
        builder = Builder(config, home, environ, reuse.runners if reuse is not None else {})
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
