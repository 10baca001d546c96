"""JSON Schema (draft 2020-12) of the files that a service is written in, for editors and checks.

Made from the same classes that read the files, so it cannot fall behind them. Where a number, a
truth value or one of a few names is asked for, a `${…}` reference may stand too.

What it cannot say: that a reference is set, that a policy, prompt or model of a name exists, that
no key stands twice, and that `1.0` is not a whole number.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import inspect

from headrace.config.field_doc import class_doc, field_docs
from headrace.config.model import (
    AdapterConfig,
    ConversationsConfig,
    ModelConfig,
    ParamsConfig,
    PlaceConfig,
    PriceConfig,
    RouteConfig,
    ServerConfig,
    ServiceConfig,
    TracesConfig,
)
from headrace.config.struct_schema import DRAFT, REFERENCE, Definitions, Schema

__all__ = ["Schema", "service_schema", "struct_schema"]

_SECTIONS: Final[dict[str, type[msgspec.Struct]]] = {
    "traces": TracesConfig,
    "server": ServerConfig,
    "conversations": ConversationsConfig,
}


def struct_schema(kind: type[msgspec.Struct], title: str) -> Schema:
    """The schema of a file that is read as one struct: a prompt, a policy."""
    definitions = Definitions()
    top = definitions.add(kind)
    return {"$schema": DRAFT, "title": title, **top, "$defs": definitions.found}


def service_schema(
    steps: Mapping[str, type[msgspec.Struct]],
    backends: Mapping[str, type[msgspec.Struct]],
    sections: Mapping[str, object] | None = None,
) -> Schema:
    """The schema of `headrace.yaml`.

    Args:
        steps: the settings of every installed step, by the step's name.
        backends: the settings of every installed backend, by the backend's name.
        sections: the types of what other rooms read: `balance` (of a model), `limits` and `cache`.
    """
    sections = sections or {}
    definitions = Definitions()
    docs = field_docs(ServiceConfig)
    properties: dict[str, object] = {
        "name": {"description": docs["name"], "type": "string", "default": "headrace"},
        "models": {
            "description": docs["models"],
            "type": "object",
            "minProperties": 1,
            "propertyNames": {"minLength": 1},
            "additionalProperties": {
                "anyOf": [_model(definitions, backends, sections), _adapted(definitions)]
            },
        },
        "routes": {
            "description": docs["routes"],
            "type": ["object", "null"],
            "additionalProperties": _section(definitions, RouteConfig),
        },
        "pipeline": {"description": docs["pipeline"], **_pipeline(definitions, steps)},
    }
    properties["region"] = {"description": docs["region"], "type": ["string", "null"]}
    properties["database"] = {"description": docs["database"], "type": ["string", "null"]}
    properties["residency"] = {
        "description": docs["residency"],
        "anyOf": [
            {"type": "string"},
            {"type": "array", "items": {"type": "string"}},
            {"type": "null"},
        ],
    }
    for name in ("limits", "cache", "knowledge", "entities", "tools", "releases", "fine_tuning"):
        if name in sections:
            properties[name] = {
                "description": docs[name],
                **definitions.of(inspect.type_info(sections[name]), optional=True),
            }
    for name, kind in _SECTIONS.items():
        properties[name] = _section(definitions, kind)
    return {
        "$schema": DRAFT,
        "title": "headrace.yaml",
        "description": "A Headrace service: its models and the pipeline between prompt and answer.",
        "type": "object",
        "properties": properties,
        "required": ["models", "pipeline"],
        "additionalProperties": False,
        "$defs": definitions.found,
    }


def _section(definitions: Definitions, kind: type[msgspec.Struct]) -> Schema:
    """An optional section; nothing under its name means its defaults."""
    return {"description": class_doc(kind), "anyOf": [definitions.add(kind), {"type": "null"}]}


def _model(
    definitions: Definitions,
    backends: Mapping[str, type[msgspec.Struct]],
    sections: Mapping[str, object],
) -> Schema:
    balance = (
        definitions.of(inspect.type_info(sections["balance"]), optional=True)
        if "balance" in sections
        else {}
    )
    return {
        "type": "object",
        "properties": {
            "deployments": {
                "description": "Where the model is served: places that can answer for each other.",
                "type": "array",
                "items": _deployment(definitions, backends),
                "minItems": 1,
            },
            "balance": {"description": field_docs(ModelConfig)["balance"], **balance},
            "params": _section(definitions, ParamsConfig),
            "price": _section(definitions, PriceConfig),
        },
        "required": ["deployments"],
        "additionalProperties": False,
    }


def _adapted(definitions: Definitions) -> Schema:
    """A model that is another one with an adapter on it."""
    return definitions.extended(
        AdapterConfig,
        params=_section(definitions, ParamsConfig),
        price=_section(definitions, PriceConfig),
    )


def _deployment(definitions: Definitions, backends: Mapping[str, type[msgspec.Struct]]) -> Schema:
    """The fields of the backend that `backend` names, and of no other; and those of all."""
    place = definitions.extended(PlaceConfig)["properties"]
    assert isinstance(place, dict)
    return {
        "type": "object",
        "properties": {
            "backend": {
                "description": "Which backend serves it.",
                "anyOf": [{"enum": sorted(backends)}, REFERENCE],
            }
        },
        "required": ["backend"],
        "allOf": [
            {
                "if": {"properties": {"backend": {"const": name}}, "required": ["backend"]},
                "then": definitions.extended(settings, backend={"const": name}, **place),
            }
            for name, settings in sorted(backends.items())
        ],
    }


def _pipeline(definitions: Definitions, steps: Mapping[str, type[msgspec.Struct]]) -> Schema:
    """Steps in order, each a name or one name with its settings; `generate` exactly once."""
    bare = sorted(name for name, kind in steps.items() if not definitions.needs_settings(kind))
    described = [
        {
            "type": "object",
            "properties": {name: _settings(definitions, kind)},
            "required": [name],
            "additionalProperties": False,
        }
        for name, kind in sorted(steps.items())
    ]
    generate = {"anyOf": [{"const": "generate"}, {"type": "object", "required": ["generate"]}]}
    return {
        "type": "array",
        "items": {"anyOf": [{"enum": bare}, REFERENCE, *described]},
        "contains": generate,
        "minContains": 0,
        "maxContains": 1,
        "allOf": [{"contains": {"anyOf": [generate, REFERENCE]}}],
    }


def _settings(definitions: Definitions, kind: type[msgspec.Struct]) -> Schema:
    schema = definitions.add(kind)
    if definitions.needs_settings(kind):
        return {"description": class_doc(kind), **schema}
    return {"description": class_doc(kind), "anyOf": [schema, {"type": "null"}]}
