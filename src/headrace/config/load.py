"""Reading `headrace.yaml`, or the built-in assistant when there is none."""

import os
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import TypeVar

from headrace.config.database import read_database
from headrace.config.explain import describe
from headrace.config.model import (
    AdapterConfig,
    ConversationsConfig,
    DeploymentConfig,
    ModelConfig,
    ParamsConfig,
    PlaceConfig,
    PriceConfig,
    RouteConfig,
    ServerConfig,
    ServiceConfig,
    StepConfig,
    TracesConfig,
)
from headrace.config.node import Node, load_yaml, parse_yaml, shown_path
from headrace.errors import ConfigError, did_you_mean

__all__ = ["CONFIG_FILE", "home_dir", "home_path", "load_service", "parse_service"]

CONFIG_FILE = "headrace.yaml"
T = TypeVar("T")

_IGNORE_ALL = "# Keys, weights and texts: never in git.\n*\n"
_FOLDERS = ("prompts", "policies")
_FIELDS = (
    "name", "models", "routes", "pipeline", "region", "residency", "limits", "traces", "server",
    "cache", "conversations", "knowledge", "entities", "tools", "fine_tuning",
    "releases", "database",
)  # fmt: skip
_MODEL_FIELDS = ("deployments", "balance", "params", "price")
_ADAPTER_FIELDS = AdapterConfig.__struct_fields__
_PLACE_FIELDS = PlaceConfig.__struct_fields__


def load_service(root: Path, environ: Mapping[str, str]) -> ServiceConfig:
    """The service that the folder `root` declares.

    Raises:
        ConfigError: with file, line and field.
    """
    path = root / CONFIG_FILE
    _check_suffixes(root)
    if os.path.lexists(path):
        return parse_service(load_yaml(path, environ), root, builtin=False)
    text = resources.files("headrace.config").joinpath("builtin/headrace.yaml").read_text("utf-8")
    node = parse_yaml(text, "built-in headrace.yaml", environ, root=root)
    return parse_service(node, root, builtin=True)


def parse_service(node: Node, root: Path, *, builtin: bool) -> ServiceConfig:
    """The declared service, from its YAML."""
    if node.is_empty_file:
        raise node.error(
            "the file is empty",
            hint="`headrace init` writes a starting one; without the file the built-in assistant runs",
        )
    fields = _mapping(node)
    _known(node, fields, _FIELDS)
    if "pipeline" not in fields:
        raise node.error("the field 'pipeline' is missing", hint="add `pipeline: [generate]`")
    models = _models(node)
    return ServiceConfig(
        name=node.child("name").convert(str) if "name" in fields else "headrace",
        models=models,
        routes=_routes(node, models),
        node=node,
        region=_optional_text(node, "region"),
        residency=_residency(node),
        limits=_optional(node, "limits"),
        cache=_optional(node, "cache"),
        knowledge=_optional(node, "knowledge"),
        entities=_optional(node, "entities"),
        tools=_optional(node, "tools"),
        fine_tuning=_optional(node, "fine_tuning"),
        database=read_database(node),
        releases=_optional(node, "releases"),
        pipeline=_pipeline(node.child("pipeline")),
        traces=_section(node, "traces", TracesConfig),
        server=_section(node, "server", ServerConfig),
        conversations=_section(node, "conversations", ConversationsConfig),
        root=root,
        builtin=builtin,
    )


def _check_suffixes(root: Path) -> None:
    """Refuse files that look as if they were read, and are not."""
    candidates = [root / "headrace.yml"]
    candidates += (path for folder in _FOLDERS for path in sorted((root / folder).glob("*.yml")))
    for path in candidates:
        if os.path.lexists(path):
            name = path.with_suffix(".yaml").name
            raise ConfigError(
                f"{shown_path(path)}:1: a file with this name is not read",
                hint=f"rename it to {name!r}",
            )


def _mapping(node: Node) -> dict[str, object]:
    if not isinstance(node.value, dict):
        raise node.error(f"expected a mapping, found {_found(node)}")
    return node.value


def _found(node: Node) -> str:
    """What stands there, as written: a filled-in value is shown as its reference."""
    return describe(node.value if node.written() is None else node.written())


def _known(node: Node, fields: dict[str, object], known: tuple[str, ...]) -> None:
    for name in fields:
        if name not in known:
            hint = did_you_mean(name, known, kind="fields")
            raise node.error(f"unknown field {name!r}", name, hint=hint)


def _section(node: Node, name: str, kind: type[T]) -> T:
    fields = _mapping(node)
    if fields.get(name) is None:
        return kind()
    return node.child(name).convert(kind)


def _optional(node: Node, name: str) -> Node | None:
    """A section that another room reads."""
    return node.child(name) if _mapping(node).get(name) is not None else None


def _optional_text(node: Node, name: str) -> str | None:
    child = _optional(node, name)
    return None if child is None else child.convert(str)


def _residency(node: Node) -> list[str]:
    child = _optional(node, "residency")
    if child is None:
        return []
    return [child.convert(str)] if isinstance(child.value, str) else child.convert(list[str])


def _routes(node: Node, models: Mapping[str, ModelConfig]) -> dict[str, RouteConfig]:
    routes = _optional(node, "routes")
    if routes is None:
        return {}
    return {name: _route(routes.child(name), name, models) for name in _mapping(routes)}


def _route(node: Node, name: str, models: Mapping[str, ModelConfig]) -> RouteConfig:
    if name in models:
        raise node.error(
            f"{name!r} is the name of a model as well", hint="give the route a name of its own"
        )
    route = RouteConfig() if node.value is None else node.convert(RouteConfig)
    for position, model in enumerate(route.models):
        if model not in models:
            hint = did_you_mean(model, models, kind="models")
            raise node.error(f"no model is called {model!r}", "models", position, hint=hint)
    for model in route.weights:
        if model not in (route.models or models):
            hint = did_you_mean(model, route.models or models, kind="models of this route")
            raise node.error(
                f"the route does not use a model {model!r}", "weights", model, hint=hint
            )
    return route


def _models(node: Node) -> dict[str, ModelConfig]:
    fields = _mapping(node)
    if not fields.get("models"):
        raise node.error("no model is declared", "models", hint="`headrace init` writes an example")
    models = node.child("models")
    if "" in _mapping(models):
        raise models.error("a model needs a name", "")
    nodes = {name: models.child(name) for name in _mapping(models)}
    adapted = {name for name, each in nodes.items() if _is_adapted(each)}
    found = {name: _model(each, name) for name, each in nodes.items() if name not in adapted}
    # In the order of the file: the first one is the default.
    return {
        name: _adapted(each, name, found, nodes) if name in adapted else found[name]
        for name, each in nodes.items()
    }


def _is_adapted(node: Node) -> bool:
    return isinstance(node.value, dict) and not node.value.keys().isdisjoint(_ADAPTER_FIELDS)


def _adapted(
    node: Node, name: str, bases: Mapping[str, ModelConfig], nodes: Mapping[str, Node]
) -> ModelConfig:
    """A model that is another one with an adapter on it."""
    fields = _mapping(node)
    if "deployments" in fields:
        raise node.error(
            "a model has deployments of its own, or a base with an adapter",
            "deployments",
            hint="take the deployments away: those of `base` serve it",
        )
    _known(node, fields, (*_ADAPTER_FIELDS, "params", "price"))
    adapter = node.only(*_ADAPTER_FIELDS).convert(AdapterConfig)
    base = bases.get(adapter.base)
    if base is None and adapter.base in nodes:
        raise node.error(
            f"{adapter.base!r} has an adapter itself", "base", hint="name the model below both"
        )
    if base is None:
        hint = did_you_mean(adapter.base, bases, kind="models")
        raise node.error(f"no model is called {adapter.base!r}", "base", hint=hint)
    return ModelConfig(
        name=name,
        deployments=base.deployments,
        params=_section(node, "params", ParamsConfig) if fields.get("params") else base.params,
        price=_section(node, "price", PriceConfig) if fields.get("price") else base.price,
        node=node,
        balance=base.balance,
        adapter=adapter,
    )


def _model(node: Node, name: str) -> ModelConfig:
    fields = _mapping(node)
    _known(node, fields, _MODEL_FIELDS)
    if not fields.get("deployments"):
        raise node.error(
            "the field 'deployments' is missing", hint="add `deployments: [{backend: embedded, …}]`"
        )
    listed = fields["deployments"]
    if not isinstance(listed, list):
        found = _found(node.child("deployments"))
        raise node.error(
            f"expected a list of deployments, found {found}",
            "deployments",
            hint="write each as `- backend: …`",
        )
    deployments = [_deployment(node.child("deployments", i)) for i in range(len(listed))]
    return ModelConfig(
        name=name,
        deployments=deployments,
        params=_section(node, "params", ParamsConfig),
        price=_section(node, "price", PriceConfig) if fields.get("price") is not None else None,
        node=node,
        balance=_optional(node, "balance"),
    )


def _deployment(node: Node) -> DeploymentConfig:
    fields = _mapping(node)
    if fields.get("backend") is None:
        raise node.error("the field 'backend' is missing", hint="add `backend: embedded`")
    if not isinstance(fields["backend"], str):
        found = _found(node.child("backend"))
        raise node.error(f"expected the name of a backend, found {found}", "backend")
    if isinstance(fields.get("weight"), str) and not node.written("weight"):
        found = _found(node.child("weight"))
        hint = "" if "weights" in fields else "did you mean 'weights'?"
        raise node.error(f"expected a number above 0, found {found}", "weight", hint=hint)
    return DeploymentConfig(
        backend=str(fields["backend"]),
        settings=node.without("backend", *_PLACE_FIELDS),
        place=node.only(*_PLACE_FIELDS).convert(PlaceConfig),
    )


def _pipeline(node: Node) -> list[StepConfig]:
    if not isinstance(node.value, list):
        raise node.error(
            f"expected a list of steps, found {_found(node)}",
            hint="write each step as `- name` or `- name: {settings}`",
        )
    steps = [_step(node.child(i)) for i in range(len(node.value))]
    generating = [i for i, step in enumerate(steps) if step.name == "generate"]
    if not generating:
        raise node.error(
            "there is no `generate` step, so nothing would answer",
            hint="add `- generate` after the steps that prepare the prompt",
        )
    if len(generating) > 1:
        raise node.error(
            "`generate` stands here a second time", generating[1], hint="keep one of them"
        )
    return steps


def _step(node: Node) -> StepConfig:
    value = node.value
    if isinstance(value, str):
        return StepConfig(name=value, settings=node.empty())
    if isinstance(value, dict) and len(value) == 1:
        name = next(iter(value))
        settings = node.child(name)
        return StepConfig(name=name, settings=node.empty() if settings.value is None else settings)
    raise node.error(
        f"each step is a name, or one name with its settings; found {_found(node)}",
        hint="`- normalize` or `- normalize: {spelling: en}`",
    )


def home_path(root: Path, environ: Mapping[str, str]) -> Path:
    """Where the service's state is: `HEADRACE_HOME`, else `.headrace` in the service's folder.

    It may not be there yet: what only looks at a service must not make one.

    Raises:
        ConfigError: `HEADRACE_HOME` begins with `~NAME`, and there is no such user.
    """
    given = environ.get("HEADRACE_HOME")
    try:
        return (Path(given).expanduser() if given else root / ".headrace").resolve()
    except RuntimeError as error:
        raise ConfigError(
            f"HEADRACE_HOME={given} names no folder: {error}", hint="write the path out"
        ) from error


def home_dir(root: Path, environ: Mapping[str, str]) -> Path:
    """`home_path`, made on first use, readable by its owner only and kept out of git.

    Raises:
        ConfigError: it cannot be made.
    """
    home = home_path(root, environ)
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        ignore = home / ".gitignore"
        if not ignore.exists():
            ignore.write_text(_IGNORE_ALL, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"the state folder {home} cannot be made: {error.strerror}",
            hint="make it writable, or point HEADRACE_HOME to another folder",
        ) from error
    return home
