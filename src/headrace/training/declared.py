"""Which weights a name of headrace.yaml means, for who makes a job."""

import os
from collections.abc import Mapping
from pathlib import Path

from headrace.config.load import load_service
from headrace.config.model import ServiceConfig
from headrace.errors import UnknownModel
from headrace.models.store import ModelStore
from headrace.models.weights import declared_weights
from headrace.training.errors import TrainingInvalid

__all__ = ["base_of", "reference_of"]

_SCHEMES = ("pypi:", "hf:", "file:", "registry:")


def reference_of(name: str, config: ServiceConfig, store: ModelStore) -> str:
    """The reference of a base: as it is, or of the model of that name of the service.

    Raises:
        UnknownModel: no model of the service has that name.
        TrainingInvalid: it has, and its weights are somebody else's.
    """
    if name.startswith(_SCHEMES):
        return name
    if name not in config.models:
        raise UnknownModel.named(name, config.models)
    declared = declared_weights({name: config.models[name]}, store)[0]
    if declared.reference is None or declared.backend != "embedded":
        raise TrainingInvalid(
            f"the model {name!r} is served by {declared.backend!r}, so there are no weights here",
            hint="train a model with `backend: embedded`, or give `file:FOLDER` with its safetensors",
        )
    return declared.reference


def base_of(name: str, root: Path, home: Path, environ: Mapping[str, str] = os.environ) -> str:
    """The reference of a base: of a model of `root/headrace.yaml` (empty: its first), or as it is.

    Raises:
        UnknownModel, ConfigError: there is none.
    """
    if name.startswith(_SCHEMES):
        return name
    config = load_service(root, environ)
    store = ModelStore(home / "models", root=root)
    return reference_of(name or next(iter(config.models)), config, store)
