"""The kinds of backends that are installed: classes behind the entry points `headrace.backends`."""

from collections.abc import Collection, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import ClassVar, Protocol

import msgspec

from headrace.config.model import DeploymentConfig
from headrace.errors import did_you_mean
from headrace.models.backend import Backend

__all__ = ["BackendType", "backend_names", "backend_type", "backend_types"]


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
