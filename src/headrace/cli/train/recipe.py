"""What `headrace train run` is given: examples with options, or a YAML file that says it all."""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from headrace.cli.place import Place
from headrace.config.node import load_yaml, parse_yaml
from headrace.errors import InvalidRequest, did_you_mean
from headrace.training.declared import base_of
from headrace.training.job import FineTune, Hyperparameters

__all__ = ["Recipe", "read_recipe", "with_settings"]


class Recipe(FineTune, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A recipe file: a `FineTune`, with a model of headrace.yaml in place of its weights."""

    base: str = ""
    """A model of headrace.yaml, or a reference to weights; empty: the service's first model."""


def read_recipe(source: str, place: Place) -> FineTune:
    """The fine-tune that a YAML recipe describes, or that trains on the examples of `source`.

    Raises:
        ConfigError: the recipe is wrong: says file, line and field.
    """
    path = Path(source)
    if path.suffix in (".yaml", ".yml"):
        recipe = load_yaml(path, os.environ).convert(Recipe)
    else:
        recipe = Recipe(training=source)
    return _as_spec(recipe, base_of(recipe.base, place.root, place.home))


def _as_spec(recipe: Recipe, base: str) -> FineTune:
    fields = {name: getattr(recipe, name) for name in FineTune.__struct_fields__}
    return FineTune(**{**fields, "base": base})


def with_settings(spec: FineTune, settings: Sequence[str]) -> FineTune:
    """The fine-tune with `NAME=VALUE` settings, values as in YAML; of itself or its parameters.

    Raises:
        InvalidRequest: there is no such setting, or it cannot have that value.
    """
    own = msgspec.to_builtins(spec)
    parameters = own["parameters"]
    names = (*Hyperparameters.__struct_fields__, *FineTune.__struct_fields__)
    for setting in settings:
        name, equals, written = setting.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or name not in names:
            raise InvalidRequest(
                f"{setting!r} is no setting", hint=did_you_mean(name, names, kind="settings")
            )
        value = parse_yaml(f"value: {written}", "--set", os.environ, root=Path()).child("value")
        (parameters if name in Hyperparameters.__struct_fields__ else own)[name] = value.value
    try:
        return msgspec.convert(own, FineTune)
    except msgspec.ValidationError as error:
        raise InvalidRequest(str(error), hint="`headrace train run --help` lists them") from error
