"""What is looked at: a folder, its state, its environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from headrace.config.load import home_path, load_service
from headrace.config.model import ServiceConfig
from headrace.errors import HeadraceError
from headrace.knowledge.settings import read_knowledge
from headrace.models.builder import builtin_models
from headrace.models.cache.settings import read_cache
from headrace.models.store import ModelStore
from headrace.models.weights import DeclaredWeights, declared_weights
from headrace.server.state import RunningService, running_service

__all__ = ["Site"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One service as the checks find it."""

    root: Path
    home: Path
    """May not be there yet."""
    environ: Mapping[str, str]
    config: ServiceConfig | None
    """None when headrace.yaml cannot be read; the check of the files says why."""
    weights: tuple[DeclaredWeights, ...]
    """Empty, too, when the models cannot be read."""
    running: RunningService | None

    @classmethod
    def of(cls, root: Path, environ: Mapping[str, str]) -> Self:
        """The service of a folder."""
        home = home_path(root, environ)
        config, weights = _declared(root, home, environ)
        return cls(
            root=root,
            home=home,
            environ=environ,
            config=config,
            weights=weights,
            running=running_service(home),
        )


def _embedding_names(config: ServiceConfig) -> set[str]:
    """The models that the service's knowledge and its cache compare texts with."""
    names: set[str] = set()
    if config.knowledge is not None:
        names.add(read_knowledge(config.knowledge).model)
    semantic = read_cache(config.cache).semantic
    if semantic is not None:
        names.add(semantic.model)
    return names


def _declared(
    root: Path, home: Path, environ: Mapping[str, str]
) -> tuple[ServiceConfig | None, tuple[DeclaredWeights, ...]]:
    try:
        config = load_service(root, environ)
    except HeadraceError:
        return None, ()
    try:
        store = ModelStore(home / "models", root=root)
        builtin = {
            name: model
            for name, model in builtin_models(config).items()
            if name in _embedding_names(config)
        }
        return config, tuple(declared_weights({**config.models, **builtin}, store))
    except (HeadraceError, OSError):
        # The checks of the files and of the home say why.
        return config, ()
