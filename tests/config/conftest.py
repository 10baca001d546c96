"""Reading YAML texts as a service's files, with the installed steps and backends."""

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import msgspec
import pytest

from headrace.access.limits.config import read_limits
from headrace.config.load import parse_service
from headrace.config.model import ServiceConfig
from headrace.config.node import parse_yaml
from headrace.models.backend_type import backend_types
from headrace.models.balance.settings import BalanceSettings
from headrace.models.cache.settings import read_cache
from headrace.pipeline.compile import step_types


class Load(Protocol):
    def __call__(self, text: str, **environ: str) -> ServiceConfig: ...


MODELS = """\
models:
  small:
    deployments:
      - backend: embedded
        weights: file:small.gguf
"""
SERVICE = MODELS + "pipeline:\n  - generate\n"
"""The least service; seven lines, so that what a test adds begins in line 8."""

ENVIRON = {
    "PORT": "8081",
    "SHARE": "0.5",
    "YES": "true",
    "TOKEN": "1234567",
    "NAME": "x",
    "BARE": "",
}


@pytest.fixture(scope="session")
def step_settings() -> Mapping[str, type[msgspec.Struct]]:
    return {name: step.Settings for name, (step, _) in step_types().items()}


@pytest.fixture(scope="session")
def backend_settings() -> Mapping[str, type[msgspec.Struct]]:
    return {name: backend.Settings for name, backend in backend_types().items()}


@pytest.fixture
def load(
    tmp_path: Path,
    step_settings: Mapping[str, type[msgspec.Struct]],
    backend_settings: Mapping[str, type[msgspec.Struct]],
) -> Load:
    """Reads `headrace.yaml` as far as text alone decides: settings too, but nothing is built."""

    def load(text: str, **environ: str) -> ServiceConfig:
        node = parse_yaml(text, "headrace.yaml", ENVIRON | environ, root=tmp_path)
        config = parse_service(node, tmp_path, builtin=False)
        read_limits(config.limits)
        read_cache(config.cache)
        for model in config.models.values():
            if model.balance is not None:
                model.balance.convert(BalanceSettings)
            for deployment in model.deployments:
                if deployment.backend not in backend_settings:
                    raise deployment.settings.error("no such backend")
                deployment.settings.convert(backend_settings[deployment.backend])
        for step in config.pipeline:
            if step.name not in step_settings:
                raise step.settings.error("no such step")
            step.settings.convert(step_settings[step.name])
        return config

    return load
