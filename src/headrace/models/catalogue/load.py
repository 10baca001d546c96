"""The catalogue of a service: ours, with what `catalogue.yaml` in its folder says over it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from headrace.config.node import Node, load_yaml, shown_path
from headrace.errors import ConfigError, did_you_mean
from headrace.models.catalogue.catalogue import Catalogue, shipped_file
from headrace.models.catalogue.entry import CatalogueFile, ModelFacts

__all__ = ["FILE", "load_catalogue"]

FILE: Final = "catalogue.yaml"


def load_catalogue(root: Path, environ: Mapping[str, str]) -> Catalogue:
    """What is known of models, for the service in the folder `root`.

    Raises:
        ConfigError: `catalogue.yaml` cannot be used; with file, line and field.
    """
    misnamed = root / "catalogue.yml"
    if os.path.lexists(misnamed):
        raise ConfigError(
            f"{shown_path(misnamed)}:1: a file with this name is not read",
            hint=f"rename it to {FILE!r}",
        )
    path = root / FILE
    if not os.path.lexists(path):
        return Catalogue.shipped()
    node = load_yaml(path, environ)
    return Catalogue(_merged(shipped_file(), node))


def _merged(ours: CatalogueFile, node: Node) -> CatalogueFile:
    theirs = node.convert(CatalogueFile)
    merged = CatalogueFile(
        models=ours.models
        | {name: _over(facts, ours.models.get(name)) for name, facts in theirs.models.items()},
        licences=ours.licences | theirs.licences,
        machines=ours.machines | theirs.machines,
    )
    for name in theirs.models:
        _check(node, name, merged)
    return merged


def _over(facts: ModelFacts, ours: ModelFacts | None) -> ModelFacts:
    """Our facts with the user's in their place, field by field."""
    if ours is None:
        return facts
    said = {
        name: value
        for name in ModelFacts.__struct_fields__
        if (value := getattr(facts, name)) is not None
    }
    return msgspec.structs.replace(ours, **said)


def _check(node: Node, name: str, merged: CatalogueFile) -> None:
    """Refuse what the types cannot: ids without a provider, references to nothing."""
    facts = merged.models[name]
    provider, slash, model = name.partition("/")
    if not (provider and slash and model):
        raise node.error(
            f"the id {name!r} names no provider", "models", name, hint="write `provider/model`"
        )
    if facts.kind is None:
        raise node.error(
            "a new model needs its kind",
            "models",
            name,
            hint="add `kind: proprietary`, `open_weights` or `infrastructure`",
        )
    if facts.serves is not None and facts.serves not in merged.models:
        raise node.error(
            f"serves {facts.serves!r}, which the catalogue does not have",
            "models",
            name,
            "serves",
            hint=did_you_mean(facts.serves, merged.models, kind="models"),
        )
    if facts.licence is not None and facts.licence not in merged.licences:
        raise node.error(
            f"there is no licence {facts.licence!r}",
            "models",
            name,
            "licence",
            hint=did_you_mean(facts.licence, merged.licences, kind="licences"),
        )
